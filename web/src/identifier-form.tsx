/** The form that adds, changes or removes an identifier. */
import { useState } from 'react';
import { useForm, useMutationResult } from './form.js';
import { lastCredentialField } from './form-error.js';
import { type AccountFragment, UpdateAccountDocument } from './generated/graphql.js';
import { type IdentifierKind, listAddresses } from './identifiers.js';
import { InlineEditor } from './inline-editor.js';
import { StepUpGate } from './step-up.js';
import { Field, Form, FormErrors, SubmitButton } from './ui.js';

const inputs = {
  username: { autoComplete: 'username', type: 'text' },
  email: { autoComplete: 'email', type: 'email' },
  phone: { autoComplete: 'tel', type: 'tel' },
};

interface Props {
  me: AccountFragment;
  kind: IdentifierKind;
  /** what the field holds at first */
  initial: string;
  /** @param removed whether the user has removed the identifier */
  onSaved: (user: AccountFragment, removed: boolean) => void;
  onClose: () => void;
}

export function IdentifierForm({ me, kind, initial, onSaved, onClose }: Props) {
  const [text, setText] = useState(initial);
  const mutate = useMutationResult();
  const form = useForm('identifiers');
  const addresses = listAddresses(me).filter((address) => address.kind === kind);
  const current = addresses.find(({ state }) => state !== 'pending');
  const kept = addresses.length > 1 ? current : undefined;

  async function update(next: string | null) {
    const success = await form.run(() => mutate(UpdateAccountDocument, { input: { [kind]: next } }));
    if (success !== undefined) onSaved(success.user, next === null);
  }

  return (
    <StepUpGate form={form}>
      <InlineEditor openedBy="change" label={`Change ${kind}`} onClose={onClose}>
        <Form form={form} onSubmit={() => update(kind === 'username' ? text : text.trim())}>
          <Field
            label={`New ${kind}`}
            name={kind}
            {...inputs[kind]}
            value={text}
            onValue={setText}
            issue={form.issueFor(kind, lastCredentialField)}
            hint={current && `Your current ${kind} stays active until you verify the new one.`}
          />
          <FormErrors form={form} fields={[kind, lastCredentialField]} />
          <div className="actions">
            <SubmitButton form={form} busy="Saving…">
              Save
            </SubmitButton>
            {kept && (
              <button type="button" className="quiet" onClick={() => update(kept.value)}>
                Keep current {kind}
              </button>
            )}
            {(me[kind] || addresses.length > 0) && (
              <button type="button" className="quiet danger" onClick={() => update(null)}>
                {kept ? 'Remove both' : 'Remove'}
              </button>
            )}
          </div>
        </Form>
      </InlineEditor>
    </StepUpGate>
  );
}
