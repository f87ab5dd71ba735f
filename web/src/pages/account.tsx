/** One's own account: identifiers, password, sessions, and its end. */
import { useQuery } from '@apollo/client/react';
import { type ReactNode, useEffect, useRef, useState } from 'react';
import { type Form, useAsk, useForm } from '../form.js';
import {
  type AccountFragment,
  ChangePasswordDocument,
  DeleteAccountDocument,
  MeDocument,
  RevokeOtherSessionsDocument,
  RevokeSessionDocument,
  SessionsDocument,
  UpdateAccountDocument,
} from '../generated/graphql.js';
import { type IdentifierKind, nameOf } from '../identifiers.js';
import { NewPasswordField } from '../new-password.js';
import { leave } from '../session.js';
import { Done, Failed, Field, FormOf, Page, PasswordField, Problems, Submit, When } from '../ui.js';
import { VerifyAddress } from './verify.js';

export function AccountPage() {
  const { data, error, refetch } = useQuery(MeDocument, { fetchPolicy: 'cache-and-network' });
  const me = data?.me;
  return (
    <Page title="Your account">
      {!me && error ? (
        <Failed {...{ error, refetch }} />
      ) : !me ? (
        <p aria-busy="true">One moment …</p>
      ) : (
        <>
          <p className="lead">
            Signed in as <b>{nameOf(me)}</b>
          </p>
          <section className="card" aria-labelledby="identifiers">
            <h2 id="identifiers">Ways to know you</h2>
            <Identifier me={me} kind="username" />
            <Identifier me={me} kind="email" />
            <Identifier me={me} kind="phone" />
          </section>
          <Password me={me} />
          <Sessions />
          <DeleteAccount />
        </>
      )}
    </Page>
  );
}

const labels: Record<IdentifierKind, string> = { username: 'Username', email: 'Email', phone: 'Phone' };
const inputs = {
  username: { autoComplete: 'username', type: 'text' },
  email: { autoComplete: 'email', type: 'email' },
  phone: { autoComplete: 'tel', type: 'tel' },
};

/**
 * The current password, where the service asks for it: it does not for ten minutes after a sign-in.
 * Where one has no password, a new sign-in is the proof.
 */
function useProof(form: Form) {
  const [password, setPassword] = useState('');
  const needed = useRef(false);
  if (form.trouble?.code === 'INVALID_CREDENTIALS') needed.current = true;
  return {
    currentPassword: needed.current && password !== '' ? password : null,
    field: needed.current && (
      <PasswordField
        label="Current password"
        name="password"
        autoComplete="current-password"
        value={password}
        onValue={setPassword}
        hint="You signed in a while ago. Without a password, sign out and in again."
      />
    ),
    forget() {
      needed.current = false;
      setPassword('');
    },
  };
}

function Identifier({ me, kind }: { me: AccountFragment; kind: IdentifierKind }) {
  const [mode, setMode] = useState<'show' | 'change' | 'verify'>('show');
  const [text, setText] = useState('');
  const [done, setDone] = useState<string | null>(null);
  const ask = useAsk();
  const form = useForm('proof');
  const proof = useProof(form);
  const value = me[kind];
  const pending = kind === 'email' ? me.pendingEmail : kind === 'phone' ? me.pendingPhone : null;
  const open = me.securityTokens.find(
    ({ __typename, verified }) => !verified && __typename === (kind === 'email' ? 'EmailToken' : 'PhoneToken'),
  );
  const toVerify = kind === 'username' ? undefined : open;
  const shown = mode === 'show' || (mode === 'verify' && !toVerify);

  async function update(next: string | null) {
    const variables = { input: { [kind]: next }, currentPassword: proof.currentPassword };
    const success = await form.run(() => ask(UpdateAccountDocument, variables));
    if (success === undefined) return;
    proof.forget();
    setDone(next === null ? 'Removed.' : 'Saved.');
    setMode('show');
  }

  return (
    <div className="row">
      <div className="row-head">
        <div className="row-text">
          <span className="row-label">{labels[kind]}</span>
          <span className="row-value">{value ?? <i>none</i>}</span>
          {value && kind !== 'username' && (
            <Badge good={(kind === 'email' ? me.emailVerified : me.phoneVerified) ?? false} />
          )}
          {pending && (
            <span className="row-value">
              {pending} <span className="badge">takes its place once it is confirmed</span>
            </span>
          )}
        </div>
        {shown && (
          <div className="row-actions">
            {toVerify && (
              <button type="button" className="small" data-opens="verify" onClick={() => setMode('verify')}>
                Confirm <span className="hidden">{labels[kind].toLowerCase()}</span>
              </button>
            )}
            <button
              type="button"
              className="small"
              data-opens="change"
              onClick={() => {
                setText(pending ?? value ?? '');
                setDone(null);
                form.forget();
                setMode('change');
              }}
            >
              {value ? 'Change' : 'Add'} <span className="hidden">{labels[kind].toLowerCase()}</span>
            </button>
          </div>
        )}
      </div>
      <Done>{shown && done}</Done>
      {mode === 'verify' && toVerify && (
        <Inline of="verify" onClose={() => setMode('show')}>
          <VerifyAddress
            address={toVerify}
            onDone={() => {
              setDone('Confirmed.');
              setMode('show');
            }}
          />
        </Inline>
      )}
      {mode === 'change' && (
        <Inline of="change" onClose={() => setMode('show')}>
          <FormOf form={form} onSubmit={() => update(kind === 'username' ? text : text.trim())}>
            <Field
              label={`New ${labels[kind].toLowerCase()}`}
              name={kind}
              {...inputs[kind]}
              value={text}
              onValue={setText}
              issue={form.issueOf(kind)}
              hint={
                kind !== 'username' && (kind === 'email' ? me.emailVerified : me.phoneVerified)
                  ? 'The present one stays until the new one is confirmed.'
                  : undefined
              }
            />
            {proof.field}
            <Problems form={form} fields={[kind]} />
            <Submit form={form}>Save</Submit>
            {value && (
              <button type="button" className="quiet danger" onClick={() => update(null)}>
                Remove it
              </button>
            )}
          </FormOf>
        </Inline>
      )}
    </div>
  );
}

function Badge({ good }: { good: boolean }) {
  return <span className={good ? 'badge good' : 'badge'}>{good ? 'confirmed' : 'not confirmed'}</span>;
}

interface InlineProps {
  /** which button beside it opens it, where there are several */
  of?: string;
  children: ReactNode;
  onClose: () => void;
}

/** What opens in place: its first field gets the focus, Escape closes it, and the focus goes back to what has opened it. */
function Inline({ of, children, onClose }: InlineProps) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const around = box.current!.parentElement!;
    box.current!.querySelector('input')?.focus();
    return () => {
      // Unless it is somewhere else already. What has opened it may be gone, too: there is nothing to confirm twice.
      if (document.activeElement !== document.body) return;
      const opener = around.querySelector<HTMLElement>(`[data-opens=${of}]`) ?? around.querySelector('button');
      opener?.focus();
    };
  }, [of]);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the key closes what the button below closes
    <div
      ref={box}
      className="inline"
      onKeyDown={(event) => {
        if (event.key === 'Escape') onClose();
      }}
    >
      {children}
      <button type="button" className="quiet back" onClick={onClose}>
        Cancel
      </button>
    </div>
  );
}

function Password({ me }: { me: AccountFragment }) {
  const [currentPassword, setCurrentPassword] = useState('');
  const [newPassword, setNewPassword] = useState('');
  const [open, setOpen] = useState(false);
  const [done, setDone] = useState(false);
  const ask = useAsk();
  const form = useForm('proof');
  return (
    <section className="card" aria-labelledby="password">
      <h2 id="password">Password</h2>
      {!open ? (
        <div className="row-head">
          <p>{me.hasUsablePassword ? 'You have a password.' : 'You sign in by one-time password.'}</p>
          <button
            type="button"
            className="small"
            onClick={() => {
              setOpen(true);
              setDone(false);
            }}
          >
            {me.hasUsablePassword ? 'Change' : 'Set one'}
          </button>
        </div>
      ) : (
        <Inline onClose={() => setOpen(false)}>
          <FormOf
            form={form}
            onSubmit={async () => {
              const input = { newPassword, currentPassword: me.hasUsablePassword ? currentPassword : null };
              if ((await form.run(() => ask(ChangePasswordDocument, { input }))) === undefined) return;
              setCurrentPassword('');
              setNewPassword('');
              setOpen(false);
              setDone(true);
            }}
          >
            {me.hasUsablePassword && (
              <PasswordField
                label="Current password"
                name="password"
                autoComplete="current-password"
                value={currentPassword}
                onValue={setCurrentPassword}
                issue={form.issueOf('currentPassword')}
              />
            )}
            <NewPasswordField
              label="New password"
              value={newPassword}
              onValue={setNewPassword}
              issue={form.issueOf('newPassword')}
              about={[me.username, me.email, me.phone].filter((each) => typeof each === 'string')}
            />
            <Problems form={form} fields={['newPassword', 'currentPassword']} />
            {!me.hasUsablePassword && form.trouble?.code === 'INVALID_CREDENTIALS' && (
              <p className="note">Sign out and in again by a one-time password; then you have ten minutes for it.</p>
            )}
            <Submit form={form}>Save</Submit>
          </FormOf>
        </Inline>
      )}
      <Done>{done && 'Saved. You are signed out everywhere else.'}</Done>
    </section>
  );
}

const methods = {
  PASSWORD: 'password',
  EMAIL_ONE_TIME_PASSWORD: 'email',
  PHONE_ONE_TIME_PASSWORD: 'phone',
};

function Sessions() {
  const { data, error, refetch } = useQuery(SessionsDocument, { fetchPolicy: 'network-only' });
  const [done, setDone] = useState<string | null>(null);
  const ask = useAsk();
  const form = useForm('sessions');
  const sessions = data?.me?.sessions ?? [];

  async function end(id: string, current: boolean) {
    if ((await form.run(() => ask(RevokeSessionDocument, { id }))) === undefined) return;
    if (current) return leave();
    setDone('Signed out there.');
    await refetch();
  }

  return (
    <section className="card" aria-labelledby="sessions">
      <h2 id="sessions">Where you are signed in</h2>
      {error && <Failed {...{ error, refetch }} />}
      <ul className="list">
        {sessions.map(({ id, userAgent, ipAddress, lastUsedAt, authenticationMethods, current }) => (
          <li key={id} className="row row-head">
            <div className="row-text">
              <span className="row-value">
                {programOf(userAgent ?? '')} {current && <span className="badge good">here</span>}
              </span>
              <span className="row-label">
                {ipAddress} · <When at={lastUsedAt} />
                {authenticationMethods.length > 0 &&
                  ` · by ${authenticationMethods.map((method) => methods[method]).join(', ')}`}
              </span>
            </div>
            <button type="button" className="small" onClick={() => end(id, current)}>
              Sign out <span className="hidden">{programOf(userAgent ?? '')}</span>
            </button>
          </li>
        ))}
      </ul>
      <Problems form={form} />
      {sessions.length > 1 && (
        <button
          type="button"
          className="second"
          onClick={async () => {
            const success = await form.run(() => ask(RevokeOtherSessionsDocument, {}));
            if (success === undefined) return;
            setDone(`Signed out in ${success.revokedCount} other ${success.revokedCount === 1 ? 'place' : 'places'}.`);
            await refetch();
          }}
        >
          Sign out everywhere else
        </button>
      )}
      <Done>{done}</Done>
    </section>
  );
}

const programs: [RegExp, string][] = [
  [/\bEdg(e|A|iOS)?\//, 'Edge'],
  [/\b(OPR|Opera)\//, 'Opera'],
  [/\b(Firefox|FxiOS)\//, 'Firefox'],
  [/\b(HeadlessChrome|Chrome|CriOS)\//, 'Chrome'],
  [/\bSafari\//, 'Safari'],
];
const systems: [RegExp, string][] = [
  [/\b(iPhone|iPad)\b/, 'iOS'],
  [/\bAndroid\b/, 'Android'],
  [/\bWindows\b/, 'Windows'],
  [/\bMac OS X\b/, 'macOS'],
  [/\bLinux\b/, 'Linux'],
];

function programOf(userAgent: string): string {
  const find = (known: [RegExp, string][]) => known.find(([pattern]) => pattern.test(userAgent))?.[1];
  return [find(programs), find(systems)].filter(Boolean).join(' on ') || userAgent.slice(0, 40) || 'An unnamed program';
}

function DeleteAccount() {
  const [open, setOpen] = useState(false);
  const ask = useAsk();
  const form = useForm('proof');
  const proof = useProof(form);
  return (
    <section className="card" aria-labelledby="delete">
      <h2 id="delete">Delete the account</h2>
      {!open ? (
        <div className="row-head">
          <p>With everything that is kept in it, for good.</p>
          <button type="button" className="small danger" onClick={() => setOpen(true)}>
            Delete …
          </button>
        </div>
      ) : (
        <Inline onClose={() => setOpen(false)}>
          <FormOf
            form={form}
            onSubmit={async () => {
              const variables = { currentPassword: proof.currentPassword };
              if ((await form.run(() => ask(DeleteAccountDocument, variables))) !== undefined) leave();
            }}
          >
            <p>This cannot be undone. Every session ends, and the identifiers are free for others.</p>
            {proof.field}
            <Problems form={form} />
            <Submit form={form} className="main danger">
              Delete my account
            </Submit>
          </FormOf>
        </Inline>
      )}
    </section>
  );
}
