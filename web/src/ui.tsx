/** Components that the pages share. */
import { type FormEvent, type InputHTMLAttributes, type ReactNode, useEffect, useId, useRef, useState } from 'react';
import type { FormState } from './form.js';
import { toRequestError } from './form-error.js';
import { formatClock, formatWait } from './format.js';
import { Link } from './router.js';

let firstPage = true;

/** A page. After a navigation its heading gets the focus, so that screen readers announce it. */
export function Page({ title, children, wide = false }: { title: string; children: ReactNode; wide?: boolean }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · flex-identity`;
    if (!firstPage) heading.current?.focus();
    firstPage = false;
  }, [title]);
  return (
    <main className={wide ? 'wide' : undefined}>
      <h1 ref={heading} tabIndex={-1}>
        {title}
      </h1>
      {children}
    </main>
  );
}

/** Moves the focus to the heading when the focused element disappears. */
export function focusHeading(): void {
  document.querySelector('h1')?.focus();
}

/** The error of a query, with a button that repeats it. */
export function QueryError({ error, refetch }: { error: unknown; refetch: () => Promise<unknown> }) {
  return (
    <>
      <p className="problem" role="alert">
        {toRequestError(error).message}
      </p>
      <button
        type="button"
        className="second"
        onClick={() => {
          focusHeading();
          // If it fails again, the query reports the new error.
          refetch().catch(() => {});
        }}
      >
        Try again
      </button>
    </>
  );
}

export function Form({ form, onSubmit, children }: { form: FormState; onSubmit: () => void; children: ReactNode }) {
  const element = useRef<HTMLFormElement>(null);
  // The first invalid field gets the focus.
  useEffect(() => {
    if (form.error?.issues.length) element.current?.querySelector<HTMLElement>('[aria-invalid=true]')?.focus();
  }, [form.error]);
  return (
    <form
      ref={element}
      noValidate
      aria-busy={form.pending}
      onSubmit={(event: FormEvent) => {
        event.preventDefault();
        onSubmit();
      }}
    >
      {children}
    </form>
  );
}

interface FieldProps extends Omit<InputHTMLAttributes<HTMLInputElement>, 'onChange'> {
  label: string;
  /** help that is always shown at the field */
  hint?: ReactNode;
  /** what is wrong with the value */
  issue?: string | undefined;
  onValue: (value: string) => void;
  /** controls beside the input */
  children?: ReactNode;
}

export function Field({ label, hint, issue, onValue, children, ...input }: FieldProps) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <div className="control">
        <input
          autoCapitalize="none"
          spellCheck={false}
          {...input}
          id={id}
          aria-describedby={`${id}-hint ${id}-issue`}
          aria-invalid={issue !== undefined}
          onChange={(event) => onValue(event.target.value)}
        />
        {children}
      </div>
      <p id={`${id}-issue`} className="issue" role="alert">
        {issue}
      </p>
      {hint !== undefined && (
        <div id={`${id}-hint`} className="hint">
          {hint}
        </div>
      )}
    </div>
  );
}

export function PasswordField({ label, ...props }: Omit<FieldProps, 'type' | 'children'>) {
  const [shown, setShown] = useState(false);
  return (
    <Field label={label} {...props} type={shown ? 'text' : 'password'}>
      <button
        type="button"
        className="quiet"
        aria-label={`${shown ? 'Hide' : 'Show'} ${label.toLowerCase()}`}
        onClick={() => setShown(!shown)}
      >
        {shown ? 'Hide' : 'Show'}
      </button>
    </Field>
  );
}

interface SubmitButtonProps {
  form: FormState;
  children: ReactNode;
  /** the text while the request is in flight */
  busy: string;
  className?: string;
}

/** Submits a form. During a wait the button shows a countdown, keeps the focus and does nothing. */
export function SubmitButton({ form, children, busy, className = 'main' }: SubmitButtonProps) {
  const { seconds } = form.wait;
  const disabled = form.pending || seconds > 0;
  return (
    <button type="submit" className={className} aria-disabled={disabled}>
      {seconds > 0 ? (
        <>
          Try again in <span className="clock">{formatClock(seconds)}</span>
        </>
      ) : form.pending ? (
        busy
      ) : (
        children
      )}
    </button>
  );
}

/**
 * The errors of a form that belong to none of its fields.
 * Announces the start and the end of a wait, not each second.
 */
export function FormErrors({ form, fields = [] }: { form: FormState; fields?: string[] }) {
  const { error, wait } = form;
  const [announced, setAnnounced] = useState(0);
  const waiting = wait.seconds > 0;
  // biome-ignore lint/correctness/useExhaustiveDependencies: announce the first value only
  useEffect(() => {
    setAnnounced((before) => (waiting ? wait.seconds : before && -1));
  }, [waiting]);
  const elsewhere = error?.issues.filter(({ field }) => !fields.includes(field ?? '')) ?? [];
  return (
    <div className="problems" role="alert">
      {error?.message && error.waitSeconds === null && <p className="problem">{error.message}</p>}
      {elsewhere.map(({ message }) => (
        <p className="problem" key={message}>
          {message}
        </p>
      ))}
      {waiting && (
        <p className="problem">Too many attempts. Try again {formatWait(announced > 0 ? announced : wait.seconds)}.</p>
      )}
      {announced === -1 && <p className="note">You can try again now.</p>}
    </div>
  );
}

/** Reports a failed sign-out. */
export function SignOutError() {
  return (
    <p className="problem" role="alert">
      The service cannot be reached, so you are still signed in. Try again in a moment.
    </p>
  );
}

/** The result of an action, announced when it appears. */
export function StatusMessage({ children }: { children: ReactNode }) {
  return <div role="status">{children && <p className="note">{children}</p>}</div>;
}

export function Timestamp({ at }: { at: string | null | undefined }) {
  if (!at) return <>never</>;
  const text = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' }).format(new Date(at));
  return <time dateTime={at}>{text}</time>;
}

/** @param next the path of the next page; null on the last page */
export function Pagination({ back, next }: { back: boolean; next: string | null | undefined }) {
  return (
    <nav className="pages" aria-label="Pages">
      {back && (
        <button type="button" className="second" onClick={() => history.back()}>
          Back
        </button>
      )}
      {next && (
        <Link className="button second" to={next}>
          Next page
        </Link>
      )}
    </nav>
  );
}
