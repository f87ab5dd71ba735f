/** Signing in: by password, by a one-time password, or by the link of a message. */
import { useApolloClient } from '@apollo/client/react';
import { type ReactNode, useState } from 'react';
import { useAsk, useForm } from '../form.js';
import {
  CheckOneTimePasswordDocument,
  type CheckOneTimePasswordMutation,
  SecurityTokensDocument,
  SignInDocument,
} from '../generated/graphql.js';
import { kindOf } from '../identifiers.js';
import { useKept } from '../kept.js';
import { OneTimePasswordStep, type Purpose, type Sent, useSending } from '../one-time-password.js';
import { go, Link, messageLink, useLocation } from '../router.js';
import { enter, useSession } from '../session.js';
import { Field, FormOf, Page, PasswordField, Problems, Submit } from '../ui.js';

export function SignInPage() {
  const { fragment } = useLocation();
  const link = messageLink(fragment);
  const session = useSession();
  if (link !== null) return <SignInByLink key={fragment} {...link} />;
  if (session.status === 'in')
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

/** Nothing is spent before a click: programs that look at messages open links too. */
function SignInByLink({ tokenId, oneTimePassword }: { tokenId: string; oneTimePassword: string }) {
  const ask = useAsk();
  const form = useForm(`check ${tokenId} AUTHENTICATION`);
  const over = form.trouble?.code === 'INVALID_ONE_TIME_PASSWORD';
  return (
    <Page title="Sign in">
      <p>You have opened the link of a message. It signs you in on this device.</p>
      <FormOf
        form={form}
        onSubmit={async () => {
          const variables = { tokenId, oneTimePassword, purpose: 'AUTHENTICATION' as const };
          const success = await form.run(() => ask(CheckOneTimePasswordDocument, variables));
          if (success === undefined) return;
          enterBy(success);
          go('/account', { replace: true });
        }}
      >
        <Problems form={form} />
        {over ? (
          <Link to="/sign-in" className="button">
            Ask for another
          </Link>
        ) : (
          <Submit form={form}>Sign in</Submit>
        )}
      </FormOf>
    </Page>
  );
}

/** Both ways, one after the other on one page. What was typed and where a password was sent to survive a reload. */
export function SignIn({ onDone }: { onDone: () => void }) {
  const [identifier, setIdentifier] = useKept('identifier', '');
  const [sent, setSent] = useKept<Sent | null>('sent AUTHENTICATION', null);
  const done = () => {
    setSent(null);
    setIdentifier('');
    onDone();
  };
  if (sent !== null) return <GiveOneTimePassword sent={sent} onDone={done} onBack={() => setSent(null)} />;
  return <GivePassword {...{ identifier, setIdentifier }} onSent={setSent} onDone={done} />;
}

function GivePassword(props: {
  identifier: string;
  setIdentifier: (identifier: string) => void;
  onSent: (sent: Sent) => void;
  onDone: () => void;
}) {
  const { identifier, setIdentifier, onSent, onDone } = props;
  const [password, setPassword] = useState('');
  const [choosing, setChoosing] = useState(false);
  const ask = useAsk();
  const form = useForm(`sign-in ${identifier.trim().toLowerCase()}`);
  if (choosing)
    return <SendTo purpose="AUTHENTICATION" {...{ identifier, onSent }} onBack={() => setChoosing(false)} />;
  return (
    <FormOf
      form={form}
      onSubmit={async () => {
        const input = { identifier: identifier.trim(), password };
        const success = await form.run(() => ask(SignInDocument, { input }));
        if (success === undefined) return;
        enter(success);
        onDone();
      }}
    >
      <Field
        label="Username, email or phone"
        name="username"
        autoComplete="username"
        value={identifier}
        onValue={setIdentifier}
        issue={form.issueOf('identifier')}
      />
      <PasswordField
        label="Password"
        name="password"
        autoComplete="current-password"
        value={password}
        onValue={setPassword}
        issue={form.issueOf('password')}
      />
      <p className="beside">
        <Link to="/reset-password">Forgot your password?</Link>
      </p>
      <Problems form={form} fields={['identifier', 'password']} />
      <Submit form={form}>Sign in</Submit>
      <p className="or">or</p>
      <button type="button" className="second" onClick={() => setChoosing(true)}>
        Send me a one-time password
      </button>
    </FormOf>
  );
}

/** Finds where a one-time password can be sent to, lets one choose where there is more than one, and sends it. */
export function SendTo(props: {
  purpose: Purpose;
  identifier: string;
  onSent: (sent: Sent) => void;
  onBack: ReactNode | (() => void);
}) {
  const { purpose, onSent, onBack } = props;
  const client = useApolloClient();
  const [identifier, setIdentifier] = useState(props.identifier);
  const [found, setFound] = useState<Sent[] | null>(null);
  const form = useForm('look-up');

  async function lookUp() {
    const kind = kindOf(identifier);
    const result = await form.run(async () => {
      const variables = { identifier: identifier.trim() };
      const { data } = await client.query({ query: SecurityTokensDocument, variables, fetchPolicy: 'no-cache' });
      const tokens = (data?.securityTokens ?? []).map(({ __typename, id, name }) => ({
        tokenId: id,
        name,
        kind: __typename,
      }));
      return { __typename: 'Found' as const, tokens };
    });
    if (result !== undefined) setFound(result.tokens);
    return kind;
  }

  return (
    <>
      <FormOf form={form} onSubmit={lookUp}>
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
              ? kindOf(identifier) === 'username'
                ? 'Nothing can be sent to this username. Try an email address or a phone number.'
                : 'This is neither an email address nor a phone number that messages can go to.'
              : undefined
          }
        />
        <Problems form={form} />
        {!found?.length && <Submit form={form}>Continue</Submit>}
      </FormOf>
      {found !== null && found.length > 0 && (
        <section aria-label="Where to send it">
          {found.map((sent) => (
            <SendButton key={sent.tokenId} {...{ sent, purpose, onSent }} />
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

function SendButton({ sent, purpose, onSent }: { sent: Sent; purpose: Purpose; onSent: (sent: Sent) => void }) {
  const { form, send } = useSending(sent, purpose);
  return (
    <FormOf
      form={form}
      onSubmit={async () => {
        if (await send()) onSent(sent);
      }}
    >
      <Problems form={form} />
      <Submit form={form}>Send it to {sent.name}</Submit>
      {form.wait.seconds > 0 && (
        <button type="button" className="quiet" onClick={() => onSent(sent)}>
          I have one already
        </button>
      )}
    </FormOf>
  );
}

function GiveOneTimePassword({ sent, onDone, onBack }: { sent: Sent; onDone: () => void; onBack: () => void }) {
  const [value, setValue] = useState('');
  const ask = useAsk();
  const form = useForm(`check ${sent.tokenId} AUTHENTICATION`);
  return (
    <>
      <FormOf
        form={form}
        onSubmit={async () => {
          const variables = { tokenId: sent.tokenId, oneTimePassword: value, purpose: 'AUTHENTICATION' as const };
          const success = await form.run(() => ask(CheckOneTimePasswordDocument, variables));
          if (success === undefined) return;
          enterBy(success);
          onDone();
        }}
      >
        <OneTimePasswordStep purpose="AUTHENTICATION" {...{ sent, form, value }} onValue={setValue}>
          <Submit form={form}>Sign in</Submit>
        </OneTimePasswordStep>
      </FormOf>
      <button type="button" className="quiet back" onClick={onBack}>
        Sign in another way
      </button>
    </>
  );
}

type Checked = Extract<CheckOneTimePasswordMutation['checkOneTimePassword'], { user: object }>;

/** Without tokens the caller was signed in as this user already. */
function enterBy({ user, tokens }: Checked): void {
  if (tokens) enter({ user, tokens });
}
