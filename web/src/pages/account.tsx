/** The page of the user's own account: identifiers, password, sessions and deletion. */
import { useQuery } from '@apollo/client/react';
import { useState } from 'react';
import { AddressState, WrongAddress } from '../address.js';
import { useForm, useMutationResult } from '../form.js';
import { formatCount } from '../format.js';
import {
  type AccountFragment,
  ChangePasswordDocument,
  DeleteAccountDocument,
  MeDocument,
  RevokeOtherSessionsDocument,
  RevokeSessionDocument,
  SessionsDocument,
} from '../generated/graphql.js';
import { IdentifierForm } from '../identifier-form.js';
import {
  type Address,
  displayName,
  findPending,
  type IdentifierKind,
  identifierLabels,
  listAddresses,
} from '../identifiers.js';
import { InlineEditor } from '../inline-editor.js';
import { NewPasswordField } from '../new-password.js';
import { clearSession } from '../session.js';
import { StepUpGate } from '../step-up.js';
import { Form, FormErrors, Page, PasswordField, QueryError, StatusMessage, SubmitButton, Timestamp } from '../ui.js';
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
          <RecoveryWarning me={me} />
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

/** Warns a user who could not recover the account. */
function RecoveryWarning({ me }: { me: AccountFragment }) {
  if (me.emailVerified || me.phoneVerified) return null;
  const nouns = new Set(listAddresses(me).map(({ kind }) => (kind === 'email' ? 'email address' : 'phone number')));
  return (
    <p className="warning">
      {nouns.size === 0
        ? "If you forget your password, you can't get back in. Add an email address or phone number and verify it."
        : `Verify your ${[...nouns].join(' or ')}. Until then you may not get back in if you forget your password.`}
    </p>
  );
}

type Mode = 'show' | 'change' | { verify: string; sent: boolean };

function IdentifierRow({ me, kind }: { me: AccountFragment; kind: IdentifierKind }) {
  const [mode, setMode] = useState<Mode>('show');
  const [done, setDone] = useState<string | null>(null);
  const addresses = listAddresses(me).filter((address) => address.kind === kind);
  const pending = addresses.find(({ state }) => state === 'pending');
  const current = addresses.find(({ state }) => state !== 'pending');
  const verifying = typeof mode === 'object' ? addresses.find(({ token }) => token.id === mode.verify) : undefined;
  const closed = mode === 'show' || (mode !== 'change' && verifying === undefined);

  function saved(user: AccountFragment, removed: boolean) {
    const waiting = findPending(user, kind);
    if (waiting !== undefined)
      // The service has sent a code if the address is another than before.
      return setMode({ verify: waiting.token.id, sent: waiting.token.id !== pending?.token.id });
    setDone(removed ? 'Removed.' : 'Saved.');
    setMode('show');
  }

  const change = () => {
    setDone(null);
    setMode('change');
  };
  const verifyButton = (address: Address) => (
    <button
      type="button"
      className="small"
      data-opens="verify"
      onClick={() => setMode({ verify: address.token.id, sent: false })}
    >
      Verify <span className="hidden">{address === pending && current ? `new ${kind}` : kind}</span>
    </button>
  );
  return (
    <div className="row">
      <div className="row-head">
        <div className="row-text">
          <span className="row-label">{identifierLabels[kind]}</span>
          {(me[kind] || !pending) && <span className="row-value">{me[kind] ?? <i>none</i>}</span>}
          {current && <AddressState {...current} />}
          {current?.state === 'reserved' && (
            <span className="row-label">Reserved for you until its owner verifies it.</span>
          )}
        </div>
        {closed && (
          <div className="row-actions">
            {current?.state === 'reserved' && verifyButton(current)}
            {!pending && (
              <button type="button" className="small" data-opens="change" onClick={change}>
                {me[kind] ? 'Change' : 'Add'} <span className="hidden">{kind}</span>
              </button>
            )}
          </div>
        )}
      </div>
      {pending && (
        <div className="pending">
          <span className="row-value">{pending.value}</span>
          <AddressState {...pending} />
          {closed && (
            <div className="row-actions">
              {verifyButton(pending)}
              <WrongAddress kind={kind} onClick={change} />
            </div>
          )}
        </div>
      )}
      <StatusMessage>{closed && done}</StatusMessage>
      {verifying && typeof mode === 'object' && (
        <InlineEditor openedBy="verify" label={`Verify ${kind}`} onClose={() => setMode('show')}>
          <VerifyAddress
            key={verifying.token.id}
            address={verifying}
            sent={mode.sent}
            onChange={change}
            onDone={() => {
              setDone('Verified.');
              setMode('show');
            }}
          />
        </InlineEditor>
      )}
      {mode === 'change' && (
        <IdentifierForm
          {...{ me, kind }}
          initial={pending?.value ?? me[kind] ?? ''}
          onSaved={saved}
          onClose={() => setMode('show')}
        />
      )}
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
        <StepUpGate form={form}>
          <InlineEditor label="Change password" onClose={() => setOpen(false)}>
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
              <SubmitButton form={form} busy="Saving…">
                Save
              </SubmitButton>
            </Form>
          </InlineEditor>
        </StepUpGate>
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
      <StepUpGate form={form}>
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
      </StepUpGate>
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
  const form = useForm('deletion');
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
        <StepUpGate form={form}>
          <InlineEditor label="Delete account" onClose={() => setOpen(false)}>
            <Form
              form={form}
              onSubmit={async () => {
                if ((await form.run(() => mutate(DeleteAccountDocument, {}))) !== undefined) clearSession();
              }}
            >
              <p>This cannot be undone. You are signed out everywhere, and other users can take your identifiers.</p>
              <FormErrors form={form} />
              <SubmitButton form={form} busy="Deleting…" className="main danger">
                Delete my account
              </SubmitButton>
            </Form>
          </InlineEditor>
        </StepUpGate>
      )}
    </section>
  );
}
