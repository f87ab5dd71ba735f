/** The sign-in page: by password, by a code, or by the link of a message. */
import { useApolloClient } from '@apollo/client/react';
import { type ReactNode, useState } from 'react';
import { useForm, useMutationResult } from '../form.js';
import { CheckOneTimePasswordDocument, SecurityTokensDocument, SignInDocument } from '../generated/graphql.js';
import { detectIdentifierKind } from '../identifiers.js';
import {
  type Destination,
  OneTimePasswordStep,
  type Purpose,
  SendButton,
  toDestination,
} from '../one-time-password.js';
import { go, Link, readMessageLink, useLocation } from '../router.js';
import { setSignedIn, useSession } from '../session.js';
import { useSessionStorage } from '../session-storage.js';
import { Field, Form, FormErrors, Page, PasswordField, SubmitButton } from '../ui.js';

export function SignInPage() {
  const { fragment } = useLocation();
  const link = readMessageLink(fragment);
  const session = useSession();
  if (link !== null) return <SignInByLink key={fragment} {...link} />;
  if (session.status === 'signed-in')
    return (
      <Page title="Sign in">
        <p>You are signed in.</p>
        <p>
          <Link to="/account" className="button">
            Go to your account
          </Link>
        </p>
      </Page>
    );
  return (
    <Page title="Sign in">
      <SignIn onDone={() => go('/account')} />
      <p className="aside">
        New here? <Link to="/sign-up">Create an account</Link>
      </p>
    </Page>
  );
}

/** Uses the code only on a click, because mail scanners open links too. */
function SignInByLink({ tokenId, oneTimePassword }: { tokenId: string; oneTimePassword: string }) {
  const mutate = useMutationResult();
  const form = useForm(`check ${tokenId} AUTHENTICATION`);
  const invalid = form.error?.code === 'INVALID_ONE_TIME_PASSWORD';
  return (
    <Page title="Sign in">
      <p>Continue to sign in on this device.</p>
      <Form
        form={form}
        onSubmit={async () => {
          const variables = { tokenId, oneTimePassword, purpose: 'AUTHENTICATION' as const };
          const success = await form.run(() => mutate(CheckOneTimePasswordDocument, variables));
          if (success === undefined) return;
          setSignedIn(success);
          go('/account', { replace: true });
        }}
      >
        <FormErrors form={form} />
        {invalid ? (
          <Link to="/sign-in" className="button">
            Request a new code
          </Link>
        ) : (
          <SubmitButton form={form} busy="Signing in…">
            Sign in
          </SubmitButton>
        )}
      </Form>
    </Page>
  );
}

/** Shows the password form or the code form. Identifier and destination survive a reload. */
export function SignIn({ onDone }: { onDone: () => void }) {
  const [identifier, setIdentifier] = useSessionStorage('identifier', '');
  const [destination, setDestination] = useSessionStorage<Destination | null>('destination AUTHENTICATION', null);
  const done = () => {
    setDestination(null);
    setIdentifier('');
    onDone();
  };
  if (destination !== null)
    return <OneTimePasswordForm destination={destination} onDone={done} onBack={() => setDestination(null)} />;
  return <PasswordForm {...{ identifier, setIdentifier }} onSent={setDestination} onDone={done} />;
}

function PasswordForm(props: {
  identifier: string;
  setIdentifier: (identifier: string) => void;
  onSent: (destination: Destination) => void;
  onDone: () => void;
}) {
  const { identifier, setIdentifier, onSent, onDone } = props;
  const [password, setPassword] = useState('');
  const [choosing, setChoosing] = useState(false);
  const mutate = useMutationResult();
  const form = useForm(`sign-in ${identifier.trim().toLowerCase()}`);
  if (choosing)
    return <ChooseAddress purpose="AUTHENTICATION" {...{ identifier, onSent }} onBack={() => setChoosing(false)} />;
  return (
    <Form
      form={form}
      onSubmit={async () => {
        const input = { identifier: identifier.trim(), password };
        const success = await form.run(() => mutate(SignInDocument, { input }));
        if (success === undefined) return;
        setSignedIn(success);
        onDone();
      }}
    >
      <Field
        label="Username, email or phone"
        name="username"
        autoComplete="username"
        value={identifier}
        onValue={setIdentifier}
        issue={form.issueFor('identifier')}
      />
      <PasswordField
        label="Password"
        name="password"
        autoComplete="current-password"
        value={password}
        onValue={setPassword}
        issue={form.issueFor('password')}
      />
      <p className="beside">
        <Link to="/reset-password">Forgot your password?</Link>
      </p>
      <FormErrors form={form} fields={['identifier', 'password']} />
      <SubmitButton form={form} busy="Signing in…">
        Sign in
      </SubmitButton>
      <p className="or">or</p>
      <button type="button" className="second" onClick={() => setChoosing(true)}>
        Send me a code
      </button>
    </Form>
  );
}

/** Looks up the addresses of an account, lets the user choose one, and sends a code there. */
export function ChooseAddress(props: {
  purpose: Purpose;
  identifier: string;
  onSent: (destination: Destination) => void;
  onBack: ReactNode | (() => void);
}) {
  const { purpose, onSent, onBack } = props;
  const client = useApolloClient();
  const [identifier, setIdentifier] = useState(props.identifier);
  const [found, setFound] = useState<Destination[] | null>(null);
  const form = useForm('look-up');

  async function lookUp() {
    const kind = detectIdentifierKind(identifier);
    const result = await form.run(async () => {
      const variables = { identifier: identifier.trim() };
      const { data } = await client.query({ query: SecurityTokensDocument, variables, fetchPolicy: 'no-cache' });
      return { __typename: 'Found' as const, tokens: (data?.securityTokens ?? []).map(toDestination) };
    });
    if (result !== undefined) setFound(result.tokens);
    return kind;
  }

  return (
    <>
      <Form form={form} onSubmit={lookUp}>
        <Field
          label="Username, email or phone"
          name="username"
          autoComplete="username"
          value={identifier}
          onValue={(text) => {
            setIdentifier(text);
            setFound(null);
          }}
          issue={
            found?.length === 0
              ? detectIdentifierKind(identifier) === 'username'
                ? 'We cannot send a code to this username. Enter an email address or a phone number.'
                : 'We cannot send a code to this address. Enter another email address or phone number.'
              : undefined
          }
        />
        <FormErrors form={form} />
        {!found?.length && (
          <SubmitButton form={form} busy="Searching…">
            Continue
          </SubmitButton>
        )}
      </Form>
      {found !== null && found.length > 0 && (
        <section aria-label="Where to send the code">
          {found.map((destination) => (
            <SendButton key={destination.tokenId} {...{ destination, purpose, onSent }} />
          ))}
        </section>
      )}
      {typeof onBack === 'function' ? (
        <button type="button" className="quiet back" onClick={onBack}>
          Use a password instead
        </button>
      ) : (
        onBack
      )}
    </>
  );
}

function OneTimePasswordForm({
  destination,
  onDone,
  onBack,
}: {
  destination: Destination;
  onDone: () => void;
  onBack: () => void;
}) {
  const [value, setValue] = useState('');
  const mutate = useMutationResult();
  const form = useForm(`check ${destination.tokenId} AUTHENTICATION`);
  return (
    <>
      <Form
        form={form}
        onSubmit={async () => {
          const variables = {
            tokenId: destination.tokenId,
            oneTimePassword: value,
            purpose: 'AUTHENTICATION' as const,
          };
          const success = await form.run(() => mutate(CheckOneTimePasswordDocument, variables));
          if (success === undefined) return;
          setSignedIn(success);
          onDone();
        }}
      >
        <OneTimePasswordStep purpose="AUTHENTICATION" {...{ destination, form, value }} onValue={setValue}>
          <SubmitButton form={form} busy="Signing in…">
            Sign in
          </SubmitButton>
        </OneTimePasswordStep>
      </Form>
      <button type="button" className="quiet back" onClick={onBack}>
        Sign in another way
      </button>
    </>
  );
}
