/** The sign-up page. One field takes a username, an email or a phone. */
import { useQuery } from '@apollo/client/react';
import { useState } from 'react';
import { useForm, useMutationResult } from '../form.js';
import { PolicyDocument, SignUpDocument } from '../generated/graphql.js';
import { detectIdentifierKind, type IdentifierKind } from '../identifiers.js';
import { NewPasswordField } from '../new-password.js';
import { go, Link } from '../router.js';
import { setSignedIn, useSession } from '../session.js';
import { store, useSessionStorage } from '../session-storage.js';
import { Field, Form, FormErrors, Page, SubmitButton } from '../ui.js';

const hints: Record<IdentifierKind, string> = {
  username: 'Usernames are public. Add an email later to be able to recover your account.',
  email: 'We will send a code to this email address to verify it.',
  phone: 'We will send a code to this phone number to verify it.',
};

export function SignUpPage() {
  const [identifier, setIdentifier] = useSessionStorage('sign-up identifier', '');
  const [password, setPassword] = useState('');
  const [without, setWithout] = useState(false);
  const mutate = useMutationResult();
  const form = useForm('sign-up');
  const kind = detectIdentifierKind(identifier);
  const { data } = useQuery(PolicyDocument);
  const withoutPassword = without && kind !== 'username';

  const session = useSession();
  if (session.status === 'signed-in' && !form.pending)
    return (
      <Page title="Create an account">
        <p>You are signed in and have an account.</p>
        <p>
          <Link to="/account" className="button">
            Go to your account
          </Link>
        </p>
      </Page>
    );

  async function submit() {
    const input = {
      [kind ?? 'username']: kind === 'username' ? identifier : identifier.trim(),
      password: withoutPassword ? null : password,
    };
    const success = await form.run(() => mutate(SignUpDocument, { input }));
    if (success === undefined || !success.tokens) return;
    const { user, tokens } = success;
    setIdentifier('');
    setSignedIn({ user, tokens });
    const [address] = user.securityTokens;
    if (address !== undefined) store('address to verify', address.id);
    go(address === undefined ? '/account' : '/verify');
  }

  return (
    <Page title="Create an account">
      <Form form={form} onSubmit={submit}>
        <Field
          label="Username, email or phone"
          name="username"
          autoComplete="username"
          value={identifier}
          onValue={setIdentifier}
          issue={form.issueFor('username', 'email', 'phone')}
          hint={
            <span aria-live="polite">
              {kind === null ? 'Use any one of these.' : hints[kind]}
              {kind === 'phone' &&
                !identifier.trim().startsWith('+') &&
                data &&
                ` Without a country code, we assume ${data.policy.defaultRegion}.`}
            </span>
          }
        />
        {!withoutPassword && (
          <NewPasswordField
            label="Password"
            value={password}
            onValue={setPassword}
            issue={form.issueFor('password')}
            userInputs={[identifier]}
          />
        )}
        {kind !== 'username' && (
          <label className="check">
            <input type="checkbox" checked={without} onChange={(event) => setWithout(event.target.checked)} />
            Sign up without a password (we will send a code each time)
          </label>
        )}
        <FormErrors form={form} fields={['username', 'email', 'phone', 'password']} />
        <SubmitButton form={form} busy="Creating account…">
          Create account
        </SubmitButton>
      </Form>
      <p className="aside">
        Already have an account? <Link to="/sign-in">Sign in</Link>
      </p>
    </Page>
  );
}
