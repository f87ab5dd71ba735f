/** Signing up, by username, email or phone in one field. */
import { useQuery } from '@apollo/client/react';
import { useState } from 'react';
import { useAsk, useForm } from '../form.js';
import { PolicyDocument, SignUpDocument } from '../generated/graphql.js';
import { type IdentifierKind, kindOf } from '../identifiers.js';
import { keep, useKept } from '../kept.js';
import { NewPasswordField } from '../new-password.js';
import { go, Link } from '../router.js';
import { enter, useSession } from '../session.js';
import { Field, FormOf, Page, Problems, Submit } from '../ui.js';

const kinds: Record<IdentifierKind, string> = {
  username: 'This is a username: everybody may know it.',
  email: 'This is an email address. We send a one-time password there to confirm it.',
  phone: 'This is a phone number. We send a one-time password there to confirm it.',
};

export function SignUpPage() {
  const [identifier, setIdentifier] = useKept('new identifier', '');
  const [password, setPassword] = useState('');
  const [without, setWithout] = useState(false);
  const ask = useAsk();
  const form = useForm('sign-up');
  const kind = kindOf(identifier);
  const { data } = useQuery(PolicyDocument);
  const withoutPassword = without && kind !== 'username';

  const session = useSession();
  if (session.status === 'in' && !form.pending)
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
    const success = await form.run(() => ask(SignUpDocument, { input }));
    if (success === undefined || !success.tokens) return;
    const { user, tokens } = success;
    setIdentifier('');
    enter({ user, tokens });
    const [address] = user.securityTokens;
    if (address !== undefined) keep('confirm', address.id);
    go(address === undefined ? '/account' : '/verify');
  }

  return (
    <Page title="Create an account">
      <FormOf form={form} onSubmit={submit}>
        <Field
          label="Username, email or phone"
          name="username"
          autoComplete="username"
          value={identifier}
          onValue={setIdentifier}
          issue={form.issueOf('username', 'email', 'phone')}
          hint={
            <span aria-live="polite">
              {kind === null ? 'Any one of them will do.' : kinds[kind]}
              {kind === 'phone' &&
                !identifier.trim().startsWith('+') &&
                data &&
                ` Without a country code it is taken to be of ${data.policy.defaultRegion}.`}
            </span>
          }
        />
        {!withoutPassword && (
          <NewPasswordField
            label="Password"
            value={password}
            onValue={setPassword}
            issue={form.issueOf('password')}
            about={[identifier]}
          />
        )}
        {kind !== 'username' && (
          <label className="check">
            <input type="checkbox" checked={without} onChange={(event) => setWithout(event.target.checked)} />
            Without a password: send me a one-time password each time
          </label>
        )}
        <Problems form={form} fields={['username', 'email', 'phone', 'password']} />
        <Submit form={form}>Create account</Submit>
      </FormOf>
      <p className="aside">
        Have one already? <Link to="/sign-in">Sign in</Link>
      </p>
    </Page>
  );
}
