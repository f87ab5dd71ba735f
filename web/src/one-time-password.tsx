/** One-time passwords: the field, and the step at which one is asked for again or given. */
import { useQuery } from '@apollo/client/react';
import { type ReactNode, useLayoutEffect, useRef, useState } from 'react';
import { type Form, useAsk, useForm } from './form.js';
import { type OneTimePasswordPurpose, PolicyDocument, SendOneTimePasswordDocument } from './generated/graphql.js';
import { clock, keep, readKept, useWait } from './kept.js';
import { Done, Field, Problems } from './ui.js';

export type Purpose = OneTimePasswordPurpose;

/** Where one was sent to. */
export interface Sent {
  tokenId: string;
  /** obscured */
  name: string;
  kind: 'EmailToken' | 'PhoneToken';
}

interface Format {
  length: number;
  alphabet: string;
  lifetimeSeconds: number;
}

const groupLength = (length: number) => (length % 4 === 0 ? 4 : 3);

/** What counts of a text, in upper case. Of a whole message that was pasted, the first word that looks like a one-time password. */
function readOneTimePassword(text: string, { length, alphabet }: Pick<Format, 'length' | 'alphabet'>): string {
  const upper = text.toUpperCase();
  const counts = (character: string) => alphabet.includes(character);
  const words = upper.split(/[^\p{L}\p{N}]+/u);
  if ([...upper].filter(counts).length > length) {
    const word = words.find((each) => each.length === length && [...each].every(counts));
    if (word !== undefined) return word;
  }
  // A character that none can hold is kept: the service says that it is wrong, and nobody wonders where it went.
  return [...upper.replace(/[\s-]/g, '')].slice(0, Math.max(length, 1)).join('');
}

function grouped(oneTimePassword: string, { length }: Pick<Format, 'length'>): string {
  const size = groupLength(length);
  return oneTimePassword.match(new RegExp(`.{1,${size}}`, 'gu'))?.join(' ') ?? '';
}

/** What the service says of those that are sent there; until it has, what it says unless it is told otherwise. */
function useFormat(kind: Sent['kind']): Format {
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
  kind: Sent['kind'];
  value: string;
  onValue: (value: string) => void;
  issue?: string | undefined;
}

/** Shows groups; takes what is typed, pasted or filled in with gaps, dashes, in any case, or as a whole message. */
function OneTimePasswordField({ kind, value, onValue, issue }: FieldProps) {
  const format = useFormat(kind);
  const caret = useRef<{ input: HTMLInputElement; behind: number } | null>(null);
  useLayoutEffect(() => {
    if (caret.current === null) return;
    const { input, behind } = caret.current;
    caret.current = null;
    const at = grouped(value.slice(0, behind), format).length;
    input.setSelectionRange(at, at);
  }, [value, format]);
  return (
    <Field
      label="One-time password"
      name="one-time-code"
      className="code"
      autoComplete="one-time-code"
      inputMode={/^\d+$/.test(format.alphabet) ? 'numeric' : 'text'}
      autoCapitalize="characters"
      value={grouped(value, format)}
      issue={issue}
      hint={`${format.length} ${/^\d+$/.test(format.alphabet) ? 'digits' : 'characters'}; gaps and case do not matter.`}
      onInput={({ currentTarget }) => {
        const before = currentTarget.value.slice(0, currentTarget.selectionStart ?? currentTarget.value.length);
        caret.current = { input: currentTarget, behind: before.replace(/[\s-]/g, '').length };
      }}
      onValue={(text) => onValue(readOneTimePassword(text, format))}
    />
  );
}

/** Asks for one to be sent. The wait until the next may be asked for goes by the address, on every page; whether one is on its way, by the purpose too. */
export function useSending({ tokenId, kind }: Sent, purpose: Purpose) {
  const ask = useAsk();
  const { data } = useQuery(PolicyDocument);
  const { lifetimeSeconds } = useFormat(kind);
  const key = `good ${purpose} ${tokenId}`;
  const form = useForm(`send ${tokenId}`);
  const again = useWait(`again ${tokenId}`);
  return {
    form,
    seconds: Math.max(form.wait.seconds, again.seconds),
    /** whether one was sent from this tab that is good for this, as far as the tab knows */
    underWay: (readKept<number>(key) ?? 0) > Date.now(),
    async send(): Promise<boolean> {
      const sent = await form.run(() => ask(SendOneTimePasswordDocument, { tokenId, purpose }));
      if (sent === undefined) return false;
      keep(key, Date.now() + lifetimeSeconds * 1000);
      again.start(data?.policy.resendIntervalSeconds ?? 30);
      return true;
    },
    /** It has been given, and is good no more. */
    spend: () => keep(key, null),
  };
}

/** Says where one was sent to, takes it, and sends another. */
export function OneTimePasswordStep(props: {
  sent: Sent;
  purpose: Purpose;
  form: Form;
  value: string;
  onValue: (value: string) => void;
  children: ReactNode;
}) {
  const { sent, purpose, form, value, onValue, children } = props;
  const { form: sending, seconds, underWay, send } = useSending(sent, purpose);
  const first = purpose === 'VERIFICATION' && !underWay;
  const [resent, setResent] = useState(false);
  return (
    <>
      <p>
        {first ? (
          <>
            By a one-time password that is sent to it, confirm that <b>{sent.name}</b> is yours.
          </>
        ) : purpose === 'VERIFICATION' ? (
          <>
            A one-time password is on its way to <b>{sent.name}</b>.
          </>
        ) : (
          <>
            If <b>{sent.name}</b> is known here, a one-time password is on its way to it.
          </>
        )}
      </p>
      <OneTimePasswordField kind={sent.kind} value={value} onValue={onValue} issue={form.issueOf('oneTimePassword')} />
      <Problems form={form} fields={['oneTimePassword', 'newPassword']} />
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
          Send {first ? 'one' : 'another'}{' '}
          {seconds > 0 && (
            <>
              in <span className="clock">{clock(seconds)}</span>
            </>
          )}
        </button>
        <Done>{resent && 'Another one is on its way. Only the newest is good.'}</Done>
        {sending.trouble?.message && sending.trouble.waitSeconds === null && (
          <p className="problem" role="alert">
            {sending.trouble.message}
          </p>
        )}
      </div>
    </>
  );
}
