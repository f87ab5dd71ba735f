/** The page that replaces a forgotten password, by a code or by the link of a message. */
import { useState } from 'react';
import { useForm, useMutationResult } from '../form.js';
import { ResetPasswordDocument } from '../generated/graphql.js';
import { NewPasswordField } from '../new-password.js';
import { type Destination, OneTimePasswordStep } from '../one-time-password.js';
import { go, Link, readMessageLink, useLocation } from '../router.js';
import { setSignedIn } from '../session.js';
import { useSessionStorage } from '../session-storage.js';
import { Form, FormErrors, Page, SubmitButton } from '../ui.js';
import { ChooseAddress } from './sign-in.js';

export function ResetPasswordPage() {
  const { fragment } = useLocation();
  const link = readMessageLink(fragment);
  const [identifier] = useSessionStorage('identifier', '');
  const [destination, setDestination] = useSessionStorage<Destination | null>('destination PASSWORD_RESET', null);
  return (
    <Page title="Choose a new password">
      {link !== null ? (
        <NewPassword key={fragment} {...link} />
      ) : destination !== null ? (
        <NewPassword tokenId={destination.tokenId} destination={destination} onDone={() => setDestination(null)} />
      ) : (
        <>
          <p>Enter your username, email or phone and we will send you a code.</p>
          <ChooseAddress
            purpose="PASSWORD_RESET"
            identifier={identifier}
            onSent={setDestination}
            onBack={
              <p className="aside">
                <Link to="/sign-in">Back to sign-in</Link>
              </p>
            }
          />
        </>
      )}
      {link === null && destination !== null && (
        <button type="button" className="quiet back" onClick={() => setDestination(null)}>
          Use a different address
        </button>
      )}
    </Page>
  );
}

function NewPassword(props: {
  tokenId: string;
  oneTimePassword?: string;
  destination?: Destination;
  onDone?: () => void;
}) {
  const { tokenId, oneTimePassword, destination, onDone } = props;
  const [typed, setTyped] = useState('');
  const [password, setPassword] = useState('');
  const mutate = useMutationResult();
  const form = useForm(`check ${tokenId} PASSWORD_RESET`);
  const invalid = oneTimePassword !== undefined && form.error?.code === 'INVALID_ONE_TIME_PASSWORD';

  async function submit() {
    const input = { tokenId, oneTimePassword: oneTimePassword ?? typed, newPassword: password };
    const success = await form.run(() => mutate(ResetPasswordDocument, { input }));
    if (success === undefined) return;
    onDone?.();
    setSignedIn(success);
    go('/account', { replace: true });
  }

  const field = (
    <NewPasswordField
      label="New password"
      value={password}
      onValue={setPassword}
      issue={form.issueFor('newPassword')}
      userInputs={[]}
    />
  );
  const submitButton = (
    <SubmitButton form={form} busy="Saving…">
      Set new password
    </SubmitButton>
  );
  return (
    <Form form={form} onSubmit={submit}>
      {destination === undefined ? (
        <>
          <p>This signs you out on all other devices and signs you in here.</p>
          {field}
          <FormErrors form={form} fields={['newPassword']} />
          {invalid ? (
            <Link to="/reset-password" className="button">
              Request a new code
            </Link>
          ) : (
            submitButton
          )}
        </>
      ) : (
        <OneTimePasswordStep purpose="PASSWORD_RESET" {...{ destination, form }} value={typed} onValue={setTyped}>
          {field}
          {submitButton}
        </OneTimePasswordStep>
      )}
    </Form>
  );
}
