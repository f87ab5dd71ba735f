/** The parts that pages are made of. */
import { type FormEvent, type InputHTMLAttributes, type ReactNode, useEffect, useId, useRef, useState } from 'react';
import type { Form } from './form.js';
import { clock, inWords } from './kept.js';
import { Link } from './router.js';
import { troubleOfFailure } from './trouble.js';

let firstPage = true;

/** A page: its heading gets the focus when one comes to it by a link, so that a screen reader says where one is. */
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

/** Where one goes on when what had the focus is gone. */
export function focusHeading(): void {
  document.querySelector('h1')?.focus();
}

/** Why a query has not been answered, and another try. */
export function Failed({ error, refetch }: { error: unknown; refetch: () => Promise<unknown> }) {
  return (
    <>
      <p className="problem" role="alert">
        {troubleOfFailure(error).message}
      </p>
      <button
        type="button"
        className="second"
        onClick={() => {
          focusHeading();
          // What fails again is shown again.
          refetch().catch(() => {});
        }}
      >
        Try again
      </button>
    </>
  );
}

export function FormOf({ form, onSubmit, children }: { form: Form; onSubmit: () => void; children: ReactNode }) {
  const element = useRef<HTMLFormElement>(null);
  // Where something is wrong with a field, that is where to go on.
  useEffect(() => {
    if (form.trouble?.issues.length) element.current?.querySelector<HTMLElement>('[aria-invalid=true]')?.focus();
  }, [form.trouble]);
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
  /** said at the field at all times */
  hint?: ReactNode;
  issue?: string | undefined;
  onValue: (value: string) => void;
  /** beside the input */
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

/** The button that submits a form. While there is something to wait for it counts down, keeps the focus, and does nothing. */
export function Submit({ form, children, className }: { form: Form; children: ReactNode; className?: string }) {
  const { seconds } = form.wait;
  const closed = form.pending || seconds > 0;
  return (
    <button type="submit" className={className ?? 'main'} aria-disabled={closed}>
      {seconds > 0 ? (
        <>
          Try again in <span className="clock">{clock(seconds)}</span>
        </>
      ) : form.pending ? (
        'One moment …'
      ) : (
        children
      )}
    </button>
  );
}

/** What went wrong with the form as a whole. A wait is announced when it begins and when it is over, and not every second. */
export function Problems({ form, fields = [] }: { form: Form; fields?: string[] }) {
  const { trouble, wait } = form;
  const [announced, setAnnounced] = useState(0);
  const waiting = wait.seconds > 0;
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is said stands while the seconds pass
  useEffect(() => {
    setAnnounced((before) => (waiting ? wait.seconds : before && -1));
  }, [waiting]);
  const elsewhere = trouble?.issues.filter(({ field }) => !fields.includes(field ?? '')) ?? [];
  return (
    <div className="problems" role="alert">
      {trouble?.message && trouble.waitSeconds === null && <p className="problem">{trouble.message}</p>}
      {elsewhere.map(({ message }) => (
        <p className="problem" key={message}>
          {message}
        </p>
      ))}
      {waiting && (
        <p className="problem">
          Too many attempts. The next one opens in {inWords(announced > 0 ? announced : wait.seconds)}.
        </p>
      )}
      {announced === -1 && <p className="note">You can try again now.</p>}
    </div>
  );
}

/** What came of a sign-out that failed. */
export function StillSignedIn() {
  return (
    <p className="problem" role="alert">
      The service cannot be reached, so you are still signed in.
    </p>
  );
}

/** What has been done, said when it is. */
export function Done({ children }: { children: ReactNode }) {
  return <div role="status">{children && <p className="note">{children}</p>}</div>;
}

export function When({ at }: { at: string | null | undefined }) {
  if (!at) return <>never</>;
  const text = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' }).format(new Date(at));
  return <time dateTime={at}>{text}</time>;
}

/** @param next where the next page is; none where this is the last */
export function Paging({ back, next }: { back: boolean; next: string | null | undefined }) {
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
