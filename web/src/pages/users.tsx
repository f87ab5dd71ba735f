/** For staff: everybody who has an account, and one of them. */
import { useQuery } from '@apollo/client/react';
import { type ReactNode, useEffect, useRef, useState } from 'react';
import { useAsk, useForm } from '../form.js';
import {
  MeDocument,
  RevokeUserSessionsDocument,
  UpdateUserDocument,
  type UpdateUserInput,
  UserByIdDocument,
  UsersDocument,
} from '../generated/graphql.js';
import { nameOf } from '../identifiers.js';
import { go, Link, useLocation } from '../router.js';
import { troubleOfFailure } from '../trouble.js';
import { Done, Field, Page, Paging, Problems, When } from '../ui.js';

const pageLength = 20;

/** The search and the page are in the address, so that going back leads to them. */
export function UsersPage() {
  const { search: query } = useLocation();
  const given = new URLSearchParams(query);
  const [search, after] = [given.get('search') ?? '', given.get('after')];
  const [typed, setTyped] = useState(search);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  // A link and going back change it too: what was typed before is over then.
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
      {/* biome-ignore lint/a11y/useSemanticElements: no browser in use two years ago knows the element */}
      <div role="search">
        <Field
          label="Search"
          type="search"
          name="search"
          placeholder="The beginning of a username, email or phone"
          value={typed}
          onValue={type}
        />
      </div>
      {error && (
        <p className="problem" role="alert">
          {troubleOfFailure(error).message}
        </p>
      )}
      <p className="hidden" role="status">
        {data && `${data.users.nodes.length} users`}
      </p>
      {users?.nodes.length === 0 && <p>Nobody is called so.</p>}
      {users && users.nodes.length > 0 && (
        <table className="users">
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">Email</th>
              <th scope="col">Phone</th>
              <th scope="col">Joined</th>
              <th scope="col">State</th>
            </tr>
          </thead>
          <tbody>
            {users.nodes.map((user) => (
              <tr key={user.id}>
                <th scope="row">
                  <Link to={`/users/${user.id}`}>{nameOf(user)}</Link>
                </th>
                <td data-label="Email">{user.email}</td>
                <td className="short" data-label="Phone">
                  {user.phone}
                </td>
                <td className="short" data-label="Joined">
                  <When at={user.dateJoined} />
                </td>
                <td className="short" data-label="State">
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
      <Paging
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
  const ask = useAsk();
  const form = useForm('user');
  const user = data?.user;
  const me = mine?.me;
  const self = me?.id === id;
  const within = me?.isSuperuser || (user && !user.isStaff && !user.isSuperuser);

  async function update(input: UpdateUserInput, said: string) {
    setDone(null);
    if ((await form.run(() => ask(UpdateUserDocument, { id, input }))) !== undefined) setDone(said);
  }

  return (
    <Page title={user ? nameOf(user) : 'User'}>
      <p className="aside">
        <Link to="/users">All users</Link>
      </p>
      {error && (
        <p className="problem" role="alert">
          {troubleOfFailure(error).message}
        </p>
      )}
      {data && !user && <p>There is nobody of this id.</p>}
      {user && (
        <>
          <dl className="facts">
            {user.username && <Fact name="Username">{user.username}</Fact>}
            {user.email && (
              <Fact name="Email">
                {user.email} {user.emailVerified && <span className="badge good">confirmed</span>}
              </Fact>
            )}
            {user.phone && (
              <Fact name="Phone">
                {user.phone} {user.phoneVerified && <span className="badge good">confirmed</span>}
              </Fact>
            )}
            <Fact name="Joined">
              <When at={user.dateJoined} />
            </Fact>
            <Fact name="Last sign-in">
              <When at={user.lastLogin} />
            </Fact>
            <Fact name="State">{user.isActive ? 'active' : <span className="badge bad">deactivated</span>}</Fact>
            <Fact name="Role">{user.isSuperuser ? 'superuser' : user.isStaff ? 'staff' : 'none'}</Fact>
            <Fact name="Id">
              <code>{user.id}</code>
            </Fact>
          </dl>
          {me?.isSuperuser && (
            <p>
              <Link to={`/audit?user=${user.id}`}>What has happened to this account</Link>
            </p>
          )}
          <Problems form={form} />
          <Done>{done}</Done>
          {self ? (
            <p>This is you. Nobody changes their own state or roles.</p>
          ) : !within ? (
            <p>Only superusers change staff and superusers.</p>
          ) : (
            <section className="card" aria-labelledby="state">
              <h2 id="state">State and roles</h2>
              <div className="buttons">
                {user.isActive ? (
                  <button
                    type="button"
                    className="second danger"
                    onClick={() => update({ isActive: false }, 'Deactivated. Every session has ended.')}
                  >
                    Deactivate
                  </button>
                ) : (
                  <button type="button" className="second" onClick={() => update({ isActive: true }, 'Active again.')}>
                    Activate
                  </button>
                )}
                {me?.isSuperuser && (
                  <>
                    <button
                      type="button"
                      className="second"
                      onClick={() =>
                        update({ isStaff: !user.isStaff }, user.isStaff ? 'No longer staff.' : 'Staff from now on.')
                      }
                    >
                      {user.isStaff ? 'Take staff role' : 'Make staff'}
                    </button>
                    <button
                      type="button"
                      className="second"
                      onClick={() =>
                        update(
                          { isSuperuser: !user.isSuperuser },
                          user.isSuperuser ? 'No longer a superuser.' : 'A superuser from now on.',
                        )
                      }
                    >
                      {user.isSuperuser ? 'Take superuser role' : 'Make superuser'}
                    </button>
                    <button
                      type="button"
                      className="second"
                      onClick={async () => {
                        const ended = await form.run(() => ask(RevokeUserSessionsDocument, { id }));
                        if (ended !== undefined) setDone(`${ended.revokedCount} sessions have ended.`);
                      }}
                    >
                      Sign out everywhere
                    </button>
                  </>
                )}
              </div>
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
