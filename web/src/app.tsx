/** The frame of every page, and the routes. */
import { ApolloProvider, useQuery } from '@apollo/client/react';
import { useEffect, useMemo, useState } from 'react';
import { createClient } from './client.js';
import { MeDocument } from './generated/graphql.js';
import { AccountPage } from './pages/account.js';
import { AuditPage } from './pages/audit.js';
import { ResetPasswordPage } from './pages/reset-password.js';
import { SignInPage } from './pages/sign-in.js';
import { useSignOut } from './pages/sign-out.js';
import { SignUpPage } from './pages/sign-up.js';
import { UserPage, UsersPage } from './pages/users.js';
import { VerifyPage } from './pages/verify.js';
import { go, Link, useLocation } from './router.js';
import { restoreSession, useSession } from './session.js';
import { focusHeading, Page, SignOutError } from './ui.js';

export function App() {
  const session = useSession();
  const user = session.status === 'signed-in' ? session.user.id : null;
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new user needs an empty cache
  const client = useMemo(createClient, [user]);
  return (
    <ApolloProvider client={client}>
      {/* biome-ignore lint/a11y/useValidAnchor: the link does lead to a part of the page */}
      <a
        className="skip"
        href="#content"
        onClick={(event) => {
          // Do not change the address: its fragment may hold the code of a message link.
          event.preventDefault();
          focusHeading();
        }}
      >
        Skip to content
      </a>
      <Header />
      {/* The key discards the state of the pages when another user signs in. */}
      <div id="content" key={user ?? 'signed-out'}>
        {session.status === 'unreachable' ? <UnreachablePage /> : session.status !== 'starting' && <CurrentPage />}
      </div>
    </ApolloProvider>
  );
}

function Header() {
  const session = useSession();
  const signedIn = session.status === 'signed-in';
  const { data } = useQuery(MeDocument, { skip: !signedIn });
  const signOut = useSignOut();
  const me = signedIn ? (data?.me ?? session.user) : null;
  return (
    <header>
      <Link to="/" className="brand">
        <Mark /> flex-identity
      </Link>
      <nav aria-label="Main">
        {(me?.isStaff || me?.isSuperuser) && <NavLink to="/users">Users</NavLink>}
        {me?.isSuperuser && <NavLink to="/audit">Audit log</NavLink>}
        {signedIn && (
          <>
            <NavLink to="/account">Account</NavLink>
            <button type="button" className="quiet" onClick={() => signOut.run(() => go('/sign-in'))}>
              Sign out
            </button>
          </>
        )}
        {session.status === 'signed-out' && (
          <>
            <NavLink to="/sign-in">Sign in</NavLink>
            <NavLink to="/sign-up">Sign up</NavLink>
          </>
        )}
      </nav>
      {signOut.failed && signedIn && <SignOutError />}
    </header>
  );
}

function NavLink({ to, children }: { to: string; children: string }) {
  const { path } = useLocation();
  return (
    <Link to={to} {...(path === to && { 'aria-current': 'page' as const })}>
      {children}
    </Link>
  );
}

function Mark() {
  return (
    <svg viewBox="0 0 32 32" width="28" height="28" aria-hidden="true">
      <rect width="32" height="32" rx="8" className="mark-back" />
      <circle cx="16" cy="12" r="5" className="mark-front" />
      <path d="M6.5 26a9.5 9.5 0 0 1 19 0z" className="mark-front" />
    </svg>
  );
}

/** The address stays the same, so the requested page appears once the session is restored. */
function UnreachablePage() {
  const [pending, setPending] = useState(false);
  return (
    <Page title="The service cannot be reached">
      <p>Try again in a moment.</p>
      <button
        type="button"
        className="main"
        aria-disabled={pending}
        onClick={async () => {
          if (pending) return;
          setPending(true);
          await restoreSession();
          setPending(false);
        }}
      >
        {pending ? 'Connecting…' : 'Try again'}
      </button>
    </Page>
  );
}

/** The paths are those that `src/http/web-pages.ts` serves. Messages link to four of them. */
function CurrentPage() {
  const { path } = useLocation();
  const session = useSession();
  const signedIn = session.status === 'signed-in';
  const [, userId] = /^\/users\/([^/]+)$/.exec(path) ?? [];
  switch (path) {
    case '/':
      return <Redirect to={signedIn ? '/account' : '/sign-in'} />;
    case '/sign-in':
      return <SignInPage />;
    case '/sign-up':
      return <SignUpPage />;
    case '/reset-password':
      return <ResetPasswordPage />;
    case '/verify':
      return <VerifyPage />;
  }
  const page =
    path === '/account' ? (
      <AccountPage />
    ) : path === '/users' ? (
      <UsersPage />
    ) : path === '/audit' ? (
      <AuditPage />
    ) : userId !== undefined ? (
      <UserPage id={userId} />
    ) : null;
  if (page !== null) return signedIn ? page : <Redirect to="/sign-in" />;
  return (
    <Page title="Page not found">
      <p>
        <Link to="/">Back to home</Link>
      </p>
    </Page>
  );
}

function Redirect({ to }: { to: string }) {
  useEffect(() => go(to, { replace: true }), [to]);
  return null;
}
