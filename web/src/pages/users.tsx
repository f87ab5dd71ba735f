/** The list of users and the page of one user, for staff. */
import { useQuery } from '@apollo/client/react';
import { type ReactNode, useEffect, useRef, useState } from 'react';
import { AddressState } from '../address.js';
import { useForm, useMutationResult } from '../form.js';
import { toRequestError } from '../form-error.js';
import { formatCount } from '../format.js';
import {
  MeDocument,
  RevokeUserSessionsDocument,
  UpdateUserDocument,
  type UpdateUserInput,
  UserByIdDocument,
  UsersDocument,
} from '../generated/graphql.js';
import { displayName, identifierLabels, listAddresses } from '../identifiers.js';
import { go, Link, useLocation } from '../router.js';
import { StepUpGate } from '../step-up.js';
import { Field, FormErrors, Page, Pagination, StatusMessage, Timestamp } from '../ui.js';

const pageLength = 20;

/** The address holds the search and the page, so that the browser's back button works. */
export function UsersPage() {
  const { search: query } = useLocation();
  const given = new URLSearchParams(query);
  const [search, after] = [given.get('search') ?? '', given.get('after')];
  const [typed, setTyped] = useState(search);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  // A link or the back button may change the search. Discard what was typed before.
  useEffect(() => {
    setTyped(search);
    return () => clearTimeout(timer.current);
  }, [search]);
  const type = (text: string) => {
    setTyped(text);
    clearTimeout(timer.current);
    if (text === search) return;
    const next = text === '' ? '/users' : `/users?${new URLSearchParams({ search: text })}`;
    timer.current = setTimeout(() => go(next, { replace: true }), 250);
  };

  const variables = { search: search || null, after, first: pageLength };
  const { data, previousData, error } = useQuery(UsersDocument, { variables, fetchPolicy: 'cache-and-network' });
  const users = (data ?? previousData)?.users;
  const end = data?.users.pageInfo.hasNextPage ? data.users.pageInfo.endCursor : null;
  return (
    <Page title="Users" wide>
      {/* biome-ignore lint/a11y/useSemanticElements: browsers of two years ago do not know the element */}
      <div role="search">
        <Field
          label="Search"
          type="search"
          name="search"
          placeholder="Start of a username, email or phone"
          value={typed}
          onValue={type}
        />
      </div>
      {error && (
        <p className="problem" role="alert">
          {toRequestError(error).message}
        </p>
      )}
      <p className="hidden" role="status">
        {data && formatCount(data.users.nodes.length, 'user')}
      </p>
      {users?.nodes.length === 0 &&
        (search ? (
          <p>
            No users match “{search}”. <Link to="/users">Clear search</Link>
          </p>
        ) : (
          <p>No users.</p>
        ))}
      {users && users.nodes.length > 0 && (
        <table className="users">
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">Email</th>
              <th scope="col">Phone</th>
              <th scope="col">Joined</th>
              <th scope="col">Status</th>
            </tr>
          </thead>
          <tbody>
            {users.nodes.map((user) => (
              <tr key={user.id}>
                <th scope="row">
                  <Link to={`/users/${user.id}`}>{displayName(user)}</Link>
                </th>
                <td data-label="Email">{user.email}</td>
                <td className="short" data-label="Phone">
                  {user.phone}
                </td>
                <td className="short" data-label="Joined">
                  <Timestamp at={user.dateJoined} />
                </td>
                <td className="short" data-label="Status">
                  {!user.isActive && <span className="badge bad">deactivated</span>}
                  {user.isSuperuser ? (
                    <span className="badge good">superuser</span>
                  ) : (
                    user.isStaff && <span className="badge good">staff</span>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <Pagination
        back={after !== null}
        next={end && `/users?${new URLSearchParams({ ...(search && { search }), after: end })}`}
      />
    </Page>
  );
}

export function UserPage({ id }: { id: string }) {
  const { data, error } = useQuery(UserByIdDocument, { variables: { id }, fetchPolicy: 'cache-and-network' });
  const { data: mine } = useQuery(MeDocument);
  const [done, setDone] = useState<string | null>(null);
  const mutate = useMutationResult();
  const form = useForm('user');
  const user = data?.user;
  const me = mine?.me;
  const isSelf = me?.id === id;
  const canEdit = me?.isSuperuser || (user && !user.isStaff && !user.isSuperuser);

  async function update(input: UpdateUserInput, message: string) {
    setDone(null);
    if ((await form.run(() => mutate(UpdateUserDocument, { id, input }))) !== undefined) setDone(message);
  }

  return (
    <Page title={user ? displayName(user) : 'User'}>
      <p className="aside">
        <Link to="/users">All users</Link>
      </p>
      {error && (
        <p className="problem" role="alert">
          {toRequestError(error).message}
        </p>
      )}
      {data && !user && <p>User not found.</p>}
      {user && (
        <>
          <dl className="facts">
            {user.username && <Fact name="Username">{user.username}</Fact>}
            {listAddresses(user).map(({ kind, value, state, token }) => (
              <Fact key={token.id} name={identifierLabels[kind]}>
                {value} <AddressState state={state} />
              </Fact>
            ))}
            <Fact name="Joined">
              <Timestamp at={user.dateJoined} />
            </Fact>
            <Fact name="Last sign-in">
              <Timestamp at={user.lastLogin} />
            </Fact>
            <Fact name="Status">{user.isActive ? 'active' : <span className="badge bad">deactivated</span>}</Fact>
            <Fact name="Role">{user.isSuperuser ? 'superuser' : user.isStaff ? 'staff' : 'none'}</Fact>
            <Fact name="ID">
              <code>{user.id}</code>
            </Fact>
          </dl>
          {me?.isSuperuser && (
            <p>
              <Link to={`/audit?user=${user.id}`}>View audit log</Link>
            </p>
          )}
          <FormErrors form={form} />
          <StatusMessage>{done}</StatusMessage>
          {isSelf ? (
            <p>This is you. You cannot change your own status or roles.</p>
          ) : !canEdit ? (
            <p>Only superusers can change staff and superusers.</p>
          ) : (
            <section className="card" aria-labelledby="status">
              <h2 id="status">Status and roles</h2>
              <StepUpGate form={form}>
                <div className="buttons">
                  {user.isActive ? (
                    <button
                      type="button"
                      className="second danger"
                      onClick={() => update({ isActive: false }, 'Deactivated. All sessions were revoked.')}
                    >
                      Deactivate
                    </button>
                  ) : (
                    <button type="button" className="second" onClick={() => update({ isActive: true }, 'Activated.')}>
                      Activate
                    </button>
                  )}
                  {me?.isSuperuser && (
                    <>
                      <button
                        type="button"
                        className="second"
                        onClick={() =>
                          update(
                            { isStaff: !user.isStaff },
                            user.isStaff ? 'Staff access removed.' : 'Staff access granted.',
                          )
                        }
                      >
                        {user.isStaff ? 'Remove staff role' : 'Add staff role'}
                      </button>
                      <button
                        type="button"
                        className="second"
                        onClick={() =>
                          update(
                            { isSuperuser: !user.isSuperuser },
                            user.isSuperuser ? 'Superuser access removed.' : 'Superuser access granted.',
                          )
                        }
                      >
                        {user.isSuperuser ? 'Remove superuser role' : 'Add superuser role'}
                      </button>
                      <button
                        type="button"
                        className="second"
                        onClick={async () => {
                          const success = await form.run(() => mutate(RevokeUserSessionsDocument, { id }));
                          if (success !== undefined)
                            setDone(`Revoked ${formatCount(success.revokedCount, 'session')}.`);
                        }}
                      >
                        Sign out everywhere
                      </button>
                    </>
                  )}
                </div>
              </StepUpGate>
            </section>
          )}
        </>
      )}
    </Page>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
