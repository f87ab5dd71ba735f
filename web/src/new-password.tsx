/** Choosing a password: the rules, and how strong it is as one types. */
import { useQuery } from '@apollo/client/react';
import { useEffect, useState } from 'react';
import { PolicyDocument } from './generated/graphql.js';
import { PasswordField } from './ui.js';

const words = ['Far too easy to guess', 'Easy to guess', 'Fair', 'Good', 'Strong'];

interface Props {
  label: string;
  value: string;
  onValue: (value: string) => void;
  issue: string | undefined;
  /** what the password should not be made of */
  about: string[];
  disabled?: boolean;
}

export function NewPasswordField({ label, value, onValue, issue, about, disabled }: Props) {
  const { data } = useQuery(PolicyDocument);
  const [strengthOf, setStrengthOf] = useState<((password: string, words: string[]) => number) | null>(null);
  const load = () => {
    import('./strength.js').then(
      (module) => setStrengthOf(() => module.strengthOf),
      // Without it the service still says what is too weak.
      () => {},
    );
  };
  const [score, setScore] = useState<number | null>(null);
  const context = about.join('\n');
  useEffect(() => {
    if (strengthOf === null || value === '') return setScore(null);
    const timer = setTimeout(
      () =>
        setScore(
          strengthOf(
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
  }, [strengthOf, value, context]);
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
            <span aria-live="polite">{score === null ? '' : words[score]}</span>
          </span>
        </>
      }
    />
  );
}
