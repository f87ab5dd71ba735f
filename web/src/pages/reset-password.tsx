/** A new password in place of a forgotten one, by a one-time password or the link of its message. */
import { useState } from 'react';
import { useAsk, useForm } from '../form.js';
import { ResetPasswordDocument } from '../generated/graphql.js';
import { useKept } from '../kept.js';
import { NewPasswordField } from '../new-password.js';
import { OneTimePasswordStep, type Sent } from '../one-time-password.js';
import { go, Link, messageLink, useLocation } from '../router.js';
import { enter } from '../session.js';
import { FormOf, Page, Problems, Submit } from '../ui.js';
import { SendTo } from './sign-in.js';

export function ResetPasswordPage() {
  const { fragment } = useLocation();
  const link = messageLink(fragment);
  const [identifier] = useKept('identifier', '');
  const [sent, setSent] = useKept<Sent | null>('sent PASSWORD_RESET', null);
  return (
    <Page title="Choose a new password">
      {link !== null ? (
        <NewPassword key={fragment} {...link} />
      ) : sent !== null ? (
        <NewPassword tokenId={sent.tokenId} sent={sent} onDone={() => setSent(null)} />
      ) : (
        <>
          <p>Say who you are, and we send a one-time password to an address of yours.</p>
          <SendTo
            purpose="PASSWORD_RESET"
            identifier={identifier}
            onSent={setSent}
            onBack={
              <p className="aside">
                <Link to="/sign-in">Back to signing in</Link>
              </p>
            }
          />
        </>
      )}
      {link === null && sent !== null && (
        <button type="button" className="quiet back" onClick={() => setSent(null)}>
          Send it somewhere else
        </button>
      )}
    </Page>
  );
}

function NewPassword(props: { tokenId: string; oneTimePassword?: string; sent?: Sent; onDone?: () => void }) {
  const { tokenId, oneTimePassword, sent, onDone } = props;
  const [typed, setTyped] = useState('');
  const [password, setPassword] = useState('');
  const ask = useAsk();
  const form = useForm(`check ${tokenId} PASSWORD_RESET`);
  const over = oneTimePassword !== undefined && form.trouble?.code === 'INVALID_ONE_TIME_PASSWORD';

  async function submit() {
    const input = { tokenId, oneTimePassword: oneTimePassword ?? typed, newPassword: password };
    const success = await form.run(() => ask(ResetPasswordDocument, { input }));
    if (success === undefined) return;
    onDone?.();
    enter(success);
    go('/account', { replace: true });
  }

  const field = (
    <NewPasswordField
      label="New password"
      value={password}
      onValue={setPassword}
      issue={form.issueOf('newPassword')}
      about={[]}
    />
  );
  const submitButton = <Submit form={form}>Set the new password</Submit>;
  return (
    <FormOf form={form} onSubmit={submit}>
      {sent === undefined ? (
        <>
          <p>It ends every session of your account and signs you in here.</p>
          {field}
          <Problems form={form} fields={['newPassword']} />
          {over ? (
            <Link to="/reset-password" className="button">
              Ask for another one-time password
            </Link>
          ) : (
            submitButton
          )}
        </>
      ) : (
        <OneTimePasswordStep purpose="PASSWORD_RESET" {...{ sent, form }} value={typed} onValue={setTyped}>
          {field}
          {submitButton}
        </OneTimePasswordStep>
      )}
    </FormOf>
  );
}
