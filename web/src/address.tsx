/** The state of an address, and the button that corrects it. */
import type { Address, IdentifierKind } from './identifiers.js';

const states: Record<Address['state'], string> = {
  verified: 'Verified',
  reserved: 'Not verified',
  pending: 'Waits for verification',
};

export function AddressState({ state }: Pick<Address, 'state'>) {
  return <span className={state === 'verified' ? 'badge good' : 'badge'}>{states[state]}</span>;
}

export function WrongAddress({ kind, onClick }: { kind: IdentifierKind; onClick: () => void }) {
  return (
    <button type="button" className="quiet" data-opens="change" onClick={onClick}>
      Wrong {kind === 'phone' ? 'number' : 'address'}? Change it
    </button>
  );
}
