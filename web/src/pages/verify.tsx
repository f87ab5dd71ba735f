/** The page that verifies an address, by a code or by the link of a message. */
import { useQuery } from '@apollo/client/react';
import { useEffect, useRef, useState } from 'react';
import { WrongAddress } from '../address.js';
import { useForm, useMutationResult } from '../form.js';
import { type AccountFragment, CheckOneTimePasswordDocument, MeDocument } from '../generated/graphql.js';
import { IdentifierForm } from '../identifier-form.js';
import { type Address, displayName, findPending, listAddresses } from '../identifiers.js';
import { OneTimePasswordStep, toDestination, useSendCode } from '../one-time-password.js';
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
  const address = listAddresses(me).find(({ token }) => token.id === tokenId);
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
  if (address.state === 'verified')
    return (
      <>
        <p className="note" role="status">
          <b>{address.value}</b> is verified.
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
        Verify that <b>{address.value}</b> belongs to you.
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
  const addresses = listAddresses(me);
  const unverified = addresses.filter(({ state }) => state !== 'verified');
  // Keep the choice after it is verified.
  // Otherwise the next address would get a code that the user did not request.
  const [{ id: chosen, sent }, choose] = useState(() => {
    const address = unverified.find(({ token }) => token.id === requested) ?? unverified[0];
    return { id: address?.token.id, sent: false };
  });
  const [changing, setChanging] = useState(false);
  const address = addresses.find(({ token }) => token.id === chosen);
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

  const { kind, value, token } = address;
  function saved(user: AccountFragment) {
    const pending = findPending(user, kind);
    if (pending === undefined) return go('/account');
    store('address to verify', pending.token.id);
    // The service has sent a code if the address is another than before.
    choose({ id: pending.token.id, sent: pending.token.id !== findPending(me, kind)?.token.id });
    setChanging(false);
  }
  return changing ? (
    <IdentifierForm {...{ me, kind }} initial={value} onSaved={saved} onClose={() => setChanging(false)} />
  ) : (
    <VerifyAddress
      key={token.id}
      address={address}
      sent={sent}
      onChange={() => setChanging(true)}
      onDone={() => go('/account')}
    />
  );
}

interface VerifyAddressProps {
  address: Address;
  /** whether the service has sent a code already */
  sent: boolean;
  /** corrects the address */
  onChange: () => void;
  onDone: () => void;
}

/** Sends a code, unless one was sent, and takes it. */
export function VerifyAddress({ address, sent, onChange, onDone }: VerifyAddressProps) {
  const [value, setValue] = useState('');
  const mutate = useMutationResult();
  const { value: name, kind, token } = address;
  const form = useForm(`check ${token.id} VERIFICATION`);
  const destination = { ...toDestination(token), name };
  const sending = useSendCode(destination, 'VERIFICATION');
  const started = useRef(false);
  useEffect(() => {
    // Send once, even if React mounts twice or a wait ends.
    // A second code would invalidate the first.
    if (started.current) return;
    started.current = true;
    if (sent) sending.markSent();
    else if (!sending.codeSent && sending.seconds === 0) void sending.send();
  });
  return (
    <Form
      form={form}
      onSubmit={async () => {
        const variables = { tokenId: token.id, oneTimePassword: value, purpose: 'VERIFICATION' as const };
        if ((await form.run(() => mutate(CheckOneTimePasswordDocument, variables))) === undefined) return;
        sending.markUsed();
        onDone();
      }}
    >
      <OneTimePasswordStep purpose="VERIFICATION" own {...{ destination, form, value }} onValue={setValue}>
        <FormErrors form={sending.form} />
        <SubmitButton form={form} busy="Verifying…">
          Verify
        </SubmitButton>
      </OneTimePasswordStep>
      <WrongAddress kind={kind} onClick={onChange} />
    </Form>
  );
}
