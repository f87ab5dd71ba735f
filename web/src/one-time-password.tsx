/** The field for a code, and the form step that sends codes and takes them. */
import { useQuery } from '@apollo/client/react';
import { type ReactNode, useLayoutEffect, useRef, useState } from 'react';
import { type FormState, useForm, useMutationResult } from './form.js';
import { formatClock } from './format.js';
import {
  type AddressFragment,
  type OneTimePasswordPurpose,
  PolicyDocument,
  SendOneTimePasswordDocument,
} from './generated/graphql.js';
import { readStored, store, useCountdown } from './session-storage.js';
import { Field, Form, FormErrors, StatusMessage, SubmitButton } from './ui.js';

export type Purpose = OneTimePasswordPurpose;

/** The address that a code was sent to. */
export interface Destination {
  tokenId: string;
  /** masked */
  name: string;
  kind: 'EmailToken' | 'PhoneToken';
}

interface Format {
  length: number;
  alphabet: string;
  lifetimeSeconds: number;
}

const groupLength = (length: number) => (length % 4 === 0 ? 4 : 3);

/**
 * Normalizes what the user typed.
 * If the user pasted a whole message, returns the first word that looks like a code.
 */
function readOneTimePassword(text: string, { length, alphabet }: Pick<Format, 'length' | 'alphabet'>): string {
  const upper = text.toUpperCase();
  const isAllowed = (character: string) => alphabet.includes(character);
  const words = upper.split(/[^\p{L}\p{N}]+/u);
  if ([...upper].filter(isAllowed).length > length) {
    const word = words.find((each) => each.length === length && [...each].every(isAllowed));
    if (word !== undefined) return word;
  }
  // Keep characters that no code can hold. The service rejects them, and the user sees why.
  return [...upper.replace(/[\s-]/g, '')].slice(0, Math.max(length, 1)).join('');
}

function formatGroups(oneTimePassword: string, { length }: Pick<Format, 'length'>): string {
  const size = groupLength(length);
  return oneTimePassword.match(new RegExp(`.{1,${size}}`, 'gu'))?.join(' ') ?? '';
}

/** Returns the format of the codes for that kind. Until the policy is loaded, it is the default. */
function useFormat(kind: Destination['kind']): Format {
  const { data } = useQuery(PolicyDocument);
  const [format, fallback] =
    kind === 'EmailToken'
      ? [
          data?.policy.emailOneTimePassword,
          { length: 8, alphabet: 'BCDFGHJKLMNPQRSTVWXZ23456789', lifetimeSeconds: 600 },
        ]
      : [data?.policy.phoneOneTimePassword, { length: 6, alphabet: '0123456789', lifetimeSeconds: 600 }];
  return format ?? fallback;
}

interface FieldProps {
  kind: Destination['kind'];
  value: string;
  onValue: (value: string) => void;
  issue?: string | undefined;
}

/** Shows the code in groups. Accepts spaces, dashes, any case, and a pasted message. */
function OneTimePasswordField({ kind, value, onValue, issue }: FieldProps) {
  const format = useFormat(kind);
  const caret = useRef<{ input: HTMLInputElement; typed: number } | null>(null);
  useLayoutEffect(() => {
    if (caret.current === null) return;
    const { input, typed } = caret.current;
    caret.current = null;
    const at = formatGroups(value.slice(0, typed), format).length;
    input.setSelectionRange(at, at);
  }, [value, format]);
  return (
    <Field
      label="Code"
      name="one-time-code"
      className="code"
      autoComplete="one-time-code"
      inputMode={/^\d+$/.test(format.alphabet) ? 'numeric' : 'text'}
      autoCapitalize="characters"
      value={formatGroups(value, format)}
      issue={issue}
      hint={`${format.length} ${/^\d+$/.test(format.alphabet) ? 'digits' : 'characters'}; spaces and case are ignored.`}
      onInput={({ currentTarget }) => {
        const before = currentTarget.value.slice(0, currentTarget.selectionStart ?? currentTarget.value.length);
        caret.current = { input: currentTarget, typed: before.replace(/[\s-]/g, '').length };
      }}
      onValue={(text) => onValue(readOneTimePassword(text, format))}
    />
  );
}

/** Returns the destination of a security token. */
export function toDestination({ __typename, id, name }: AddressFragment): Destination {
  return { tokenId: id, name, kind: __typename };
}

/**
 * Sends codes. The wait before the next code belongs to the address.
 * A sent code belongs to the address and the purpose.
 */
export function useSendCode({ tokenId, kind }: Destination, purpose: Purpose) {
  const mutate = useMutationResult();
  const { data } = useQuery(PolicyDocument);
  const { lifetimeSeconds } = useFormat(kind);
  const key = `code valid until ${purpose} ${tokenId}`;
  const form = useForm(`send ${tokenId}`);
  const resend = useCountdown(`resend ${tokenId}`);
  const markSent = () => {
    store(key, Date.now() + lifetimeSeconds * 1000);
    resend.start(data?.policy.resendIntervalSeconds ?? 30);
  };
  return {
    form,
    seconds: Math.max(form.wait.seconds, resend.seconds),
    /** whether this tab has sent a code for this purpose that has not expired */
    codeSent: (readStored<number>(key) ?? 0) > Date.now(),
    async send(): Promise<boolean> {
      const success = await form.run(() => mutate(SendOneTimePasswordDocument, { tokenId, purpose }));
      if (success === undefined) return false;
      markSent();
      return true;
    },
    /** Call it when the service has sent a code without a request. */
    markSent,
    /** Call it when the code has been used. */
    markUsed: () => store(key, null),
  };
}

/** Sends a code to an address that the user chooses. */
export function SendButton(props: {
  destination: Destination;
  purpose: Purpose;
  onSent: (destination: Destination) => void;
  className?: string;
}) {
  const { destination, purpose, onSent, className = 'main' } = props;
  const { form, send } = useSendCode(destination, purpose);
  return (
    <Form
      form={form}
      onSubmit={async () => {
        if (await send()) onSent(destination);
      }}
    >
      <FormErrors form={form} />
      <SubmitButton form={form} busy="Sending…" className={className}>
        Send code to {destination.name}
      </SubmitButton>
      {form.wait.seconds > 0 && (
        <button type="button" className="quiet" onClick={() => onSent(destination)}>
          I already have a code
        </button>
      )}
    </Form>
  );
}

/** Tells where the code was sent, takes it, and sends a new one. */
export function OneTimePasswordStep(props: {
  destination: Destination;
  purpose: Purpose;
  form: FormState;
  value: string;
  onValue: (value: string) => void;
  /** whether the signed-in user has the address */
  own?: boolean;
  children: ReactNode;
}) {
  const { destination, purpose, form, value, onValue, own, children } = props;
  const { form: sending, seconds, codeSent, send } = useSendCode(destination, purpose);
  const first = purpose === 'VERIFICATION' && !codeSent;
  const [resent, setResent] = useState(false);
  return (
    <>
      <p>
        {first ? (
          <>
            Enter the code we send to <b>{destination.name}</b> to verify it.
          </>
        ) : own ? (
          <>
            We sent a code to <b>{destination.name}</b>.
          </>
        ) : (
          <>
            If an account exists for <b>{destination.name}</b>, we sent it a code.
          </>
        )}
      </p>
      <OneTimePasswordField
        kind={destination.kind}
        value={value}
        onValue={onValue}
        issue={form.issueFor('oneTimePassword')}
      />
      <FormErrors form={form} fields={['oneTimePassword', 'newPassword']} />
      {children}
      <div className="resend">
        <button
          type="button"
          className="quiet"
          aria-disabled={sending.pending || seconds > 0}
          onClick={async () => {
            if (seconds > 0) return;
            setResent(false);
            if (await send()) setResent(!first);
          }}
        >
          Send {first ? 'code' : 'a new code'}{' '}
          {seconds > 0 && (
            <>
              in <span className="clock">{formatClock(seconds)}</span>
            </>
          )}
        </button>
        <StatusMessage>{resent && 'We sent a new code. Use the most recent code.'}</StatusMessage>
        {sending.error?.message && sending.error.waitSeconds === null && (
          <p className="problem" role="alert">
            {sending.error.message}
          </p>
        )}
      </div>
    </>
  );
}
