/** The field for a new password, with the rules and a strength meter. */
import { useQuery } from '@apollo/client/react';
import { useEffect, useState } from 'react';
import { PolicyDocument } from './generated/graphql.js';
import { PasswordField } from './ui.js';

const strengthLabels = ['Far too easy to guess', 'Easy to guess', 'Fair', 'Good', 'Strong'];

interface Props {
  label: string;
  value: string;
  onValue: (value: string) => void;
  issue: string | undefined;
  /** identifiers that make a password weaker, such as the username */
  userInputs: string[];
  disabled?: boolean;
}

export function NewPasswordField({ label, value, onValue, issue, userInputs, disabled }: Props) {
  const { data } = useQuery(PolicyDocument);
  const [estimateStrength, setEstimateStrength] = useState<((password: string, userInputs: string[]) => number) | null>(
    null,
  );
  const load = () => {
    import('./strength.js').then(
      (module) => setEstimateStrength(() => module.estimateStrength),
      // Without the meter the service still rejects weak passwords.
      () => {},
    );
  };
  const [score, setScore] = useState<number | null>(null);
  const context = userInputs.join('\n');
  useEffect(() => {
    if (estimateStrength === null || value === '') return setScore(null);
    const timer = setTimeout(
      () =>
        setScore(
          estimateStrength(
            value,
            context
              .split(/[\s@.+_-]+/)
              .concat(context)
              .filter(Boolean),
          ),
        ),
      80,
    );
    return () => clearTimeout(timer);
  }, [estimateStrength, value, context]);
  return (
    <PasswordField
      label={label}
      name="new-password"
      autoComplete="new-password"
      value={value}
      onValue={onValue}
      issue={issue}
      onFocus={load}
      disabled={disabled}
      hint={
        <>
          <span className={`meter score-${score ?? 'none'}`} aria-hidden="true">
            <i />
            <i />
            <i />
            <i />
          </span>
          <span className="hint-line">
            <span>At least {data?.policy.passwordMinLength ?? 8} characters.</span>
            <span aria-live="polite">{score === null ? '' : strengthLabels[score]}</span>
          </span>
        </>
      }
    />
  );
}
