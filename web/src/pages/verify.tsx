/** The page that verifies an address, by a code or by the link of a message. */
import { useQuery } from '@apollo/client/react';
import { useEffect, useRef, useState } from 'react';
import { useForm, useMutationResult } from '../form.js';
import { type AccountFragment, CheckOneTimePasswordDocument, MeDocument } from '../generated/graphql.js';
import { displayName } from '../identifiers.js';
import { OneTimePasswordStep, useSendCode } from '../one-time-password.js';
import { go, Link, readMessageLink, useLocation } from '../router.js';
import { useSession } from '../session.js';
import { readStored, store } from '../session-storage.js';
import { Form, FormErrors, Page, QueryError, SignOutError, SubmitButton } from '../ui.js';
import { SignIn } from './sign-in.js';
import { useSignOut } from './sign-out.js';

export function VerifyPage() {
  const { fragment } = useLocation();
  const link = readMessageLink(fragment);
  const session = useSession();
  const { data, error, refetch } = useQuery(MeDocument, { skip: session.status !== 'signed-in' });
  if (session.status !== 'signed-in')
    return (
      <Page title="Verify your address">
        <p>Your address is not verified yet. Sign in on this device first.</p>
        <SignIn onDone={() => {}} />
      </Page>
    );
  return (
    <Page title="Verify your address">
      {!data?.me && error ? (
        <QueryError {...{ error, refetch }} />
      ) : !data?.me ? (
        <p aria-busy="true">Loading…</p>
      ) : link !== null ? (
        <VerifyByLink key={fragment} me={data.me} {...link} />
      ) : (
        <VerifyByTyping me={data.me} />
      )}
    </Page>
  );
}

/** Uses the code only on a click, because mail scanners open links too. */
function VerifyByLink(props: { me: AccountFragment; tokenId: string; oneTimePassword: string }) {
  const { me, tokenId, oneTimePassword } = props;
  const mutate = useMutationResult();
  const signOut = useSignOut();
  const form = useForm(`check ${tokenId} VERIFICATION`);
  const address = me.securityTokens.find(({ id }) => id === tokenId);
  if (address === undefined)
    return (
      <>
        <p className="problem" role="alert">
          This link is for another account. You are signed in as <b>{displayName(me)}</b>.
        </p>
        <button type="button" className="second" onClick={() => signOut.run()}>
          Sign out and use another account
        </button>
        {signOut.failed && <SignOutError />}
      </>
    );
  if (address.verified)
    return (
      <>
        <p className="note" role="status">
          <b>{address.name}</b> is verified.
        </p>
        <Link to="/account" className="button">
          Go to your account
        </Link>
      </>
    );
  return (
    <Form
      form={form}
      onSubmit={async () => {
        const variables = { tokenId, oneTimePassword, purpose: 'VERIFICATION' as const };
        await form.run(() => mutate(CheckOneTimePasswordDocument, variables));
      }}
    >
      <p>
        Verify that <b>{address.name}</b> belongs to you.
      </p>
      <FormErrors form={form} />
      {form.error?.code === 'INVALID_ONE_TIME_PASSWORD' ? (
        <button
          type="button"
          className="main"
          onClick={() => {
            store('address to verify', tokenId);
            go('/verify');
          }}
        >
          Request a new code
        </button>
      ) : (
        <SubmitButton form={form} busy="Verifying…">
          Verify
        </SubmitButton>
      )}
    </Form>
  );
}

function VerifyByTyping({ me }: { me: AccountFragment }) {
  const requested = readStored<string>('address to verify');
  const unverified = me.securityTokens.filter(({ verified }) => !verified);
  // Keep the choice after it is verified.
  // Otherwise the next address would get a code that the user did not request.
  const [chosen] = useState(() => (unverified.find(({ id }) => id === requested) ?? unverified[0])?.id);
  const address = me.securityTokens.find(({ id }) => id === chosen);
  if (address === undefined)
    return (
      <>
        <p className="note" role="status">
          Your addresses are verified.
        </p>
        <Link to="/account" className="button">
          Go to your account
        </Link>
      </>
    );
  return <VerifyAddress key={address.id} address={address} onDone={() => go('/account')} />;
}

/** Sends a code, unless this tab already has, and takes it. */
export function VerifyAddress(props: { address: AccountFragment['securityTokens'][number]; onDone: () => void }) {
  const { address, onDone } = props;
  const [value, setValue] = useState('');
  const mutate = useMutationResult();
  const form = useForm(`check ${address.id} VERIFICATION`);
  const destination = { tokenId: address.id, name: address.name, kind: address.__typename };
  const sending = useSendCode(destination, 'VERIFICATION');
  const started = useRef(false);
  useEffect(() => {
    // Send once, even if React mounts twice or a wait ends.
    // A second code would invalidate the first.
    if (started.current) return;
    started.current = true;
    if (!sending.codeSent && sending.seconds === 0) void sending.send();
  });
  return (
    <Form
      form={form}
      onSubmit={async () => {
        const variables = { tokenId: address.id, oneTimePassword: value, purpose: 'VERIFICATION' as const };
        if ((await form.run(() => mutate(CheckOneTimePasswordDocument, variables))) === undefined) return;
        sending.markUsed();
        onDone();
      }}
    >
      <OneTimePasswordStep purpose="VERIFICATION" {...{ destination, form, value }} onValue={setValue}>
        <FormErrors form={sending.form} />
        <SubmitButton form={form} busy="Verifying…">
          Verify
        </SubmitButton>
      </OneTimePasswordStep>
    </Form>
  );
}
