/** Confirming an address: by typing the one-time password, or by the link of its message, also on another device. */
import { useQuery } from '@apollo/client/react';
import { useEffect, useRef, useState } from 'react';
import { useAsk, useForm } from '../form.js';
import { type AccountFragment, CheckOneTimePasswordDocument, MeDocument } from '../generated/graphql.js';
import { nameOf } from '../identifiers.js';
import { keep, readKept } from '../kept.js';
import { OneTimePasswordStep, useSending } from '../one-time-password.js';
import { go, Link, messageLink, useLocation } from '../router.js';
import { useSession } from '../session.js';
import { Failed, FormOf, Page, Problems, StillSignedIn, Submit } from '../ui.js';
import { SignIn } from './sign-in.js';
import { useSignOut } from './sign-out.js';

export function VerifyPage() {
  const { fragment } = useLocation();
  const link = messageLink(fragment);
  const session = useSession();
  const { data, error, refetch } = useQuery(MeDocument, { skip: session.status !== 'in' });
  if (session.status !== 'in')
    return (
      <Page title="Confirm your address">
        <p>Sign in on this device first. The address is not confirmed yet.</p>
        <SignIn onDone={() => {}} />
      </Page>
    );
  return (
    <Page title="Confirm your address">
      {!data?.me && error ? (
        <Failed {...{ error, refetch }} />
      ) : !data?.me ? (
        <p aria-busy="true">One moment …</p>
      ) : link !== null ? (
        <VerifyByLink key={fragment} me={data.me} {...link} />
      ) : (
        <VerifyByTyping me={data.me} />
      )}
    </Page>
  );
}

/** Nothing is spent before a click: programs that look at messages open links too. */
function VerifyByLink(props: { me: AccountFragment; tokenId: string; oneTimePassword: string }) {
  const { me, tokenId, oneTimePassword } = props;
  const ask = useAsk();
  const signOut = useSignOut();
  const form = useForm(`check ${tokenId} VERIFICATION`);
  const address = me.securityTokens.find(({ id }) => id === tokenId);
  if (address === undefined)
    return (
      <>
        <p className="problem" role="alert">
          This link is for another account. You are signed in as <b>{nameOf(me)}</b>.
        </p>
        <button type="button" className="second" onClick={() => signOut.run()}>
          Sign out and sign in as somebody else
        </button>
        {signOut.failed && <StillSignedIn />}
      </>
    );
  if (address.verified)
    return (
      <>
        <p className="note" role="status">
          <b>{address.name}</b> is confirmed.
        </p>
        <Link to="/account" className="button">
          Go to your account
        </Link>
      </>
    );
  return (
    <FormOf
      form={form}
      onSubmit={async () => {
        const variables = { tokenId, oneTimePassword, purpose: 'VERIFICATION' as const };
        await form.run(() => ask(CheckOneTimePasswordDocument, variables));
      }}
    >
      <p>
        Confirm that <b>{address.name}</b> is yours.
      </p>
      <Problems form={form} />
      {form.trouble?.code === 'INVALID_ONE_TIME_PASSWORD' ? (
        <button
          type="button"
          className="main"
          onClick={() => {
            keep('confirm', tokenId);
            go('/verify');
          }}
        >
          Ask for another
        </button>
      ) : (
        <Submit form={form}>Confirm</Submit>
      )}
    </FormOf>
  );
}

function VerifyByTyping({ me }: { me: AccountFragment }) {
  const asked = readKept<string>('confirm');
  const open = me.securityTokens.filter(({ verified }) => !verified);
  // The first one stays when it is confirmed: nobody has asked for a message to the next.
  const [chosen] = useState(() => (open.find(({ id }) => id === asked) ?? open[0])?.id);
  const address = me.securityTokens.find(({ id }) => id === chosen);
  if (address === undefined)
    return (
      <>
        <p className="note" role="status">
          Your addresses are confirmed.
        </p>
        <Link to="/account" className="button">
          Go to your account
        </Link>
      </>
    );
  return <VerifyAddress key={address.id} address={address} onDone={() => go('/account')} />;
}

/** Sends one where none is on its way from here, and takes it. */
export function VerifyAddress(props: { address: AccountFragment['securityTokens'][number]; onDone: () => void }) {
  const { address, onDone } = props;
  const [value, setValue] = useState('');
  const ask = useAsk();
  const form = useForm(`check ${address.id} VERIFICATION`);
  const sent = { tokenId: address.id, name: address.name, kind: address.__typename };
  const sending = useSending(sent, 'VERIFICATION');
  const started = useRef(false);
  useEffect(() => {
    // Once, also where React mounts twice, and not when a wait is over: the next one would void what has just come.
    if (started.current) return;
    started.current = true;
    if (!sending.underWay && sending.seconds === 0) void sending.send();
  });
  return (
    <FormOf
      form={form}
      onSubmit={async () => {
        const variables = { tokenId: address.id, oneTimePassword: value, purpose: 'VERIFICATION' as const };
        if ((await form.run(() => ask(CheckOneTimePasswordDocument, variables))) === undefined) return;
        sending.spend();
        onDone();
      }}
    >
      <OneTimePasswordStep purpose="VERIFICATION" {...{ sent, form, value }} onValue={setValue}>
        <Problems form={sending.form} />
        <Submit form={form}>Confirm</Submit>
      </OneTimePasswordStep>
    </FormOf>
  );
}
