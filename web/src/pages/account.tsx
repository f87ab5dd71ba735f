/** The page of the user's own account: identifiers, password, sessions and deletion. */
import { useQuery } from '@apollo/client/react';
import { type ReactNode, useEffect, useRef, useState } from 'react';
import { type FormState, useForm, useMutationResult } from '../form.js';
import { formatCount } from '../format.js';
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
import { displayName, type IdentifierKind } from '../identifiers.js';
import { NewPasswordField } from '../new-password.js';
import { clearSession } from '../session.js';
import {
  Field,
  Form,
  FormErrors,
  Page,
  PasswordField,
  QueryError,
  StatusMessage,
  SubmitButton,
  Timestamp,
} from '../ui.js';
import { VerifyAddress } from './verify.js';

export function AccountPage() {
  const { data, error, refetch } = useQuery(MeDocument, { fetchPolicy: 'cache-and-network' });
  const me = data?.me;
  return (
    <Page title="Your account">
      {!me && error ? (
        <QueryError {...{ error, refetch }} />
      ) : !me ? (
        <p aria-busy="true">Loading…</p>
      ) : (
        <>
          <p className="lead">
            Signed in as <b>{displayName(me)}</b>
          </p>
          <section className="card" aria-labelledby="identifiers">
            <h2 id="identifiers">Sign-in identifiers</h2>
            <IdentifierRow me={me} kind="username" />
            <IdentifierRow me={me} kind="email" />
            <IdentifierRow me={me} kind="phone" />
          </section>
          <PasswordSection me={me} />
          <SessionsSection />
          <DeleteAccountSection />
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
 * Asks for the current password if the service requires it: ten minutes after the last sign-in.
 * A user without a password signs in again instead.
 */
function useReauthentication(form: FormState) {
  const [password, setPassword] = useState('');
  const needed = useRef(false);
  if (form.error?.code === 'INVALID_CREDENTIALS') needed.current = true;
  return {
    currentPassword: needed.current && password !== '' ? password : null,
    field: needed.current && (
      <PasswordField
        label="Current password"
        name="password"
        autoComplete="current-password"
        value={password}
        onValue={setPassword}
        hint="You signed in more than ten minutes ago. If you have no password, sign out and sign in again."
      />
    ),
    reset() {
      needed.current = false;
      setPassword('');
    },
  };
}

function IdentifierRow({ me, kind }: { me: AccountFragment; kind: IdentifierKind }) {
  const [mode, setMode] = useState<'show' | 'change' | 'verify'>('show');
  const [text, setText] = useState('');
  const [done, setDone] = useState<string | null>(null);
  const mutate = useMutationResult();
  const form = useForm('reauthentication');
  const reauthentication = useReauthentication(form);
  const value = me[kind];
  const pending = kind === 'email' ? me.pendingEmail : kind === 'phone' ? me.pendingPhone : null;
  const unverified = me.securityTokens.find(
    ({ __typename, verified }) => !verified && __typename === (kind === 'email' ? 'EmailToken' : 'PhoneToken'),
  );
  const toVerify = kind === 'username' ? undefined : unverified;
  const closed = mode === 'show' || (mode === 'verify' && !toVerify);

  async function update(next: string | null) {
    const variables = { input: { [kind]: next }, currentPassword: reauthentication.currentPassword };
    const success = await form.run(() => mutate(UpdateAccountDocument, variables));
    if (success === undefined) return;
    reauthentication.reset();
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
            <VerifiedBadge verified={(kind === 'email' ? me.emailVerified : me.phoneVerified) ?? false} />
          )}
          {pending && (
            <span className="row-value">
              {pending} <span className="badge">pending verification</span>
            </span>
          )}
        </div>
        {closed && (
          <div className="row-actions">
            {toVerify && (
              <button type="button" className="small" data-opens="verify" onClick={() => setMode('verify')}>
                Verify <span className="hidden">{labels[kind].toLowerCase()}</span>
              </button>
            )}
            <button
              type="button"
              className="small"
              data-opens="change"
              onClick={() => {
                setText(pending ?? value ?? '');
                setDone(null);
                form.reset();
                setMode('change');
              }}
            >
              {value ? 'Change' : 'Add'} <span className="hidden">{labels[kind].toLowerCase()}</span>
            </button>
          </div>
        )}
      </div>
      <StatusMessage>{closed && done}</StatusMessage>
      {mode === 'verify' && toVerify && (
        <InlineEditor openedBy="verify" onClose={() => setMode('show')}>
          <VerifyAddress
            address={toVerify}
            onDone={() => {
              setDone('Verified.');
              setMode('show');
            }}
          />
        </InlineEditor>
      )}
      {mode === 'change' && (
        <InlineEditor openedBy="change" onClose={() => setMode('show')}>
          <Form form={form} onSubmit={() => update(kind === 'username' ? text : text.trim())}>
            <Field
              label={`New ${labels[kind].toLowerCase()}`}
              name={kind}
              {...inputs[kind]}
              value={text}
              onValue={setText}
              issue={form.issueFor(kind)}
              hint={
                kind !== 'username' && (kind === 'email' ? me.emailVerified : me.phoneVerified)
                  ? `Your current ${labels[kind].toLowerCase()} stays active until you verify the new one.`
                  : undefined
              }
            />
            {reauthentication.field}
            <FormErrors form={form} fields={[kind]} />
            <SubmitButton form={form} busy="Saving…">
              Save
            </SubmitButton>
            {value && (
              <button type="button" className="quiet danger" onClick={() => update(null)}>
                Remove
              </button>
            )}
          </Form>
        </InlineEditor>
      )}
    </div>
  );
}

function VerifiedBadge({ verified }: { verified: boolean }) {
  return <span className={verified ? 'badge good' : 'badge'}>{verified ? 'verified' : 'not verified'}</span>;
}

interface InlineEditorProps {
  /** the `data-opens` of the button that opens it, if there are several */
  openedBy?: string;
  children: ReactNode;
  onClose: () => void;
}

/**
 * An editor that opens in place. Its first field gets the focus.
 * Escape closes it and returns the focus to the opener.
 */
function InlineEditor({ openedBy, children, onClose }: InlineEditorProps) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const container = box.current!.parentElement!;
    box.current!.querySelector('input')?.focus();
    return () => {
      // Keep the focus if it has moved already.
      // The opener may be gone: a verified address has no Verify button.
      if (document.activeElement !== document.body) return;
      const opener =
        container.querySelector<HTMLElement>(`[data-opens=${openedBy}]`) ?? container.querySelector('button');
      opener?.focus();
    };
  }, [openedBy]);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: Escape repeats the button below
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

function PasswordSection({ me }: { me: AccountFragment }) {
  const [currentPassword, setCurrentPassword] = useState('');
  const [newPassword, setNewPassword] = useState('');
  const [open, setOpen] = useState(false);
  const [done, setDone] = useState(false);
  const mutate = useMutationResult();
  const form = useForm('reauthentication');
  return (
    <section className="card" aria-labelledby="password">
      <h2 id="password">Password</h2>
      {!open ? (
        <div className="row-head">
          <p>{me.hasUsablePassword ? 'You have a password.' : 'You sign in with a code.'}</p>
          <button
            type="button"
            className="small"
            onClick={() => {
              setOpen(true);
              setDone(false);
            }}
          >
            {me.hasUsablePassword ? 'Change' : 'Set'}
          </button>
        </div>
      ) : (
        <InlineEditor onClose={() => setOpen(false)}>
          <Form
            form={form}
            onSubmit={async () => {
              const input = { newPassword, currentPassword: me.hasUsablePassword ? currentPassword : null };
              if ((await form.run(() => mutate(ChangePasswordDocument, { input }))) === undefined) return;
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
                issue={form.issueFor('currentPassword')}
              />
            )}
            <NewPasswordField
              label="New password"
              value={newPassword}
              onValue={setNewPassword}
              issue={form.issueFor('newPassword')}
              userInputs={[me.username, me.email, me.phone].filter((each) => typeof each === 'string')}
            />
            <FormErrors form={form} fields={['newPassword', 'currentPassword']} />
            {!me.hasUsablePassword && form.error?.code === 'INVALID_CREDENTIALS' && (
              <p className="note">
                Sign out and sign in again with a code. You then have ten minutes to set a password.
              </p>
            )}
            <SubmitButton form={form} busy="Saving…">
              Save
            </SubmitButton>
          </Form>
        </InlineEditor>
      )}
      <StatusMessage>{done && 'Saved. You were signed out on all other devices.'}</StatusMessage>
    </section>
  );
}

const methodLabels = {
  PASSWORD: 'password',
  EMAIL_ONE_TIME_PASSWORD: 'email',
  PHONE_ONE_TIME_PASSWORD: 'phone',
};

function SessionsSection() {
  const { data, error, refetch } = useQuery(SessionsDocument, { fetchPolicy: 'network-only' });
  const [done, setDone] = useState<string | null>(null);
  const mutate = useMutationResult();
  const form = useForm('sessions');
  const sessions = data?.me?.sessions ?? [];

  async function revoke(id: string, current: boolean) {
    if ((await form.run(() => mutate(RevokeSessionDocument, { id }))) === undefined) return;
    if (current) return clearSession();
    setDone('Signed out.');
    await refetch();
  }

  return (
    <section className="card" aria-labelledby="sessions">
      <h2 id="sessions">Where you are signed in</h2>
      {error && <QueryError {...{ error, refetch }} />}
      <ul className="list">
        {sessions.map(({ id, userAgent, ipAddress, lastUsedAt, authenticationMethods, current }) => (
          <li key={id} className="row row-head">
            <div className="row-text">
              <span className="row-value">
                {describeUserAgent(userAgent ?? '')} {current && <span className="badge good">This device</span>}
              </span>
              <span className="row-label">
                {ipAddress} · <Timestamp at={lastUsedAt} />
                {authenticationMethods.length > 0 &&
                  ` · signed in by ${authenticationMethods.map((method) => methodLabels[method]).join(', ')}`}
              </span>
            </div>
            <button type="button" className="small" onClick={() => revoke(id, current)}>
              Sign out <span className="hidden">{describeUserAgent(userAgent ?? '')}</span>
            </button>
          </li>
        ))}
      </ul>
      <FormErrors form={form} />
      {sessions.length > 1 && (
        <button
          type="button"
          className="second"
          onClick={async () => {
            const success = await form.run(() => mutate(RevokeOtherSessionsDocument, {}));
            if (success === undefined) return;
            setDone(`Signed out of ${formatCount(success.revokedCount, 'other session')}.`);
            await refetch();
          }}
        >
          Sign out everywhere else
        </button>
      )}
      <StatusMessage>{done}</StatusMessage>
    </section>
  );
}

const browsers: [RegExp, string][] = [
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

function describeUserAgent(userAgent: string): string {
  const find = (known: [RegExp, string][]) => known.find(([pattern]) => pattern.test(userAgent))?.[1];
  return [find(browsers), find(systems)].filter(Boolean).join(' on ') || userAgent.slice(0, 40) || 'Unknown device';
}

function DeleteAccountSection() {
  const [open, setOpen] = useState(false);
  const mutate = useMutationResult();
  const form = useForm('reauthentication');
  const reauthentication = useReauthentication(form);
  return (
    <section className="card" aria-labelledby="delete">
      <h2 id="delete">Delete account</h2>
      {!open ? (
        <div className="row-head">
          <p>Permanently deletes your account and all its data.</p>
          <button type="button" className="small danger" onClick={() => setOpen(true)}>
            Delete…
          </button>
        </div>
      ) : (
        <InlineEditor onClose={() => setOpen(false)}>
          <Form
            form={form}
            onSubmit={async () => {
              const variables = { currentPassword: reauthentication.currentPassword };
              if ((await form.run(() => mutate(DeleteAccountDocument, variables))) !== undefined) clearSession();
            }}
          >
            <p>This cannot be undone. You are signed out everywhere, and other users can take your identifiers.</p>
            {reauthentication.field}
            <FormErrors form={form} />
            <SubmitButton form={form} busy="Deleting…" className="main danger">
              Delete my account
            </SubmitButton>
          </Form>
        </InlineEditor>
      )}
    </section>
  );
}
