/** Authenticates a signed-in user again when an operation requires it. */
import { type ReactNode, useEffect, useRef, useState } from 'react';
import { type FormState, type StepUp, useForm, useMutationResult } from './form.js';
import { CheckOneTimePasswordDocument, ReauthenticateDocument } from './generated/graphql.js';
import { focusFirst, InlineEditor } from './inline-editor.js';
import { type Destination, OneTimePasswordStep, SendButton, toDestination, useSendCode } from './one-time-password.js';
import { setSignedIn } from './session.js';
import { Form, FormErrors, PasswordField, SubmitButton } from './ui.js';

/**
 * Shows the children, or the form that authenticates again while an operation of `form` waits.
 * The children stay mounted, so they keep what the user typed.
 */
export function StepUpGate({ form, children }: { form: FormState; children: ReactNode }) {
  const { stepUp } = form;
  return (
    <>
      {stepUp && (
        <InlineEditor label="Sign in again" onClose={() => stepUp.close(false)}>
          <StepUpForm {...stepUp} />
        </InlineEditor>
      )}
      <div hidden={stepUp !== null}>{children}</div>
    </>
  );
}

function StepUpForm({ error, close }: StepUp) {
  const [destination, setDestination] = useState<Destination | null>(null);
  const { password, securityTokens, message } = error;
  const done = () => close(true);
  const box = useRef<HTMLDivElement>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the button with the focus disappears
  useEffect(() => focusFirst(box.current), [destination]);
  if (!password && securityTokens.length === 0)
    return (
      <p className="problem" role="alert">
        {message}
      </p>
    );
  if (destination !== null)
    return (
      <div ref={box}>
        <CodeForm destination={destination} onDone={done} onBack={() => setDestination(null)} />
      </div>
    );
  return (
    <div ref={box}>
      <p>Sign in again to continue.</p>
      {password && <PasswordForm onDone={done} />}
      {password && securityTokens.length > 0 && <p className="or">or</p>}
      {securityTokens.map((token) => (
        <SendButton
          key={token.id}
          destination={toDestination(token)}
          purpose="AUTHENTICATION"
          className={password ? 'second' : 'main'}
          onSent={setDestination}
        />
      ))}
    </div>
  );
}

function PasswordForm({ onDone }: { onDone: () => void }) {
  const [currentPassword, setCurrentPassword] = useState('');
  const mutate = useMutationResult();
  const form = useForm('reauthentication');
  return (
    <Form
      form={form}
      onSubmit={async () => {
        const success = await form.run(async () => {
          const result = await mutate(ReauthenticateDocument, { currentPassword });
          // The password was right, but is too new to prove everything.
          // The repeated operation tells whether it suffices.
          return result.__typename === 'StepUpRequiredError' ? { __typename: 'Authenticated' as const } : result;
        });
        if (success !== undefined) onDone();
      }}
    >
      <PasswordField
        label="Current password"
        name="password"
        autoComplete="current-password"
        value={currentPassword}
        onValue={setCurrentPassword}
      />
      <FormErrors form={form} />
      <SubmitButton form={form} busy="Checking…">
        Continue
      </SubmitButton>
    </Form>
  );
}

function CodeForm(props: { destination: Destination; onDone: () => void; onBack: () => void }) {
  const { destination, onDone, onBack } = props;
  const { tokenId } = destination;
  const [value, setValue] = useState('');
  const mutate = useMutationResult();
  const form = useForm(`check ${tokenId} AUTHENTICATION`);
  const { markUsed } = useSendCode(destination, 'AUTHENTICATION');
  return (
    <Form
      form={form}
      onSubmit={async () => {
        const variables = { tokenId, oneTimePassword: value, purpose: 'AUTHENTICATION' as const };
        const success = await form.run(() => mutate(CheckOneTimePasswordDocument, variables));
        if (success === undefined) return;
        markUsed();
        setSignedIn(success);
        onDone();
      }}
    >
      <OneTimePasswordStep purpose="AUTHENTICATION" own {...{ destination, form, value }} onValue={setValue}>
        <SubmitButton form={form} busy="Checking…">
          Continue
        </SubmitButton>
      </OneTimePasswordStep>
      <button type="button" className="quiet" onClick={onBack}>
        Use another way
      </button>
    </Form>
  );
}
