/** For superusers: what has happened, of everybody or of one user. */
import { useQuery } from '@apollo/client/react';
import { useId } from 'react';
import { type AuditEventKind, AuditEventsDocument } from '../generated/graphql.js';
import { go, Link, useLocation } from '../router.js';
import { troubleOfFailure } from '../trouble.js';
import { Page, Paging, When } from '../ui.js';

const kinds: Record<AuditEventKind, string> = {
  SIGNED_UP: 'Signed up',
  SUPERUSER_CREATED: 'Superuser made',
  SIGNED_IN: 'Signed in',
  SIGN_IN_FAILED: 'Sign-in refused',
  SIGN_IN_TIMED_OUT: 'Sign-in too soon',
  CURRENT_PASSWORD_REFUSED: 'Current password refused',
  ONE_TIME_PASSWORD_SENT: 'One-time password sent',
  ONE_TIME_PASSWORD_GENERATED: 'One-time password made',
  ONE_TIME_PASSWORD_ACCEPTED: 'One-time password accepted',
  ONE_TIME_PASSWORD_REFUSED: 'One-time password refused',
  ONE_TIME_PASSWORD_TIMED_OUT: 'One-time password too soon',
  SECURITY_TOKEN_UNLOCKED: 'Address unlocked',
  PASSWORD_CHANGED: 'Password changed',
  PASSWORD_RESET: 'Password reset',
  PASSWORD_SET: 'Password set',
  PASSWORD_REMOVED: 'Password removed',
  IDENTIFIERS_CHANGED: 'Identifiers changed',
  STATE_CHANGED: 'State changed',
  ROLES_CHANGED: 'Roles changed',
  USER_DELETED: 'Account deleted',
  SESSION_ENDED: 'Session ended',
  SESSION_COPIED: 'Session copied',
};

/** The filter and the page are in the address, so that going back leads to them. */
export function AuditPage() {
  const given = new URLSearchParams(useLocation().search);
  const [userId, kind, after] = [given.get('user'), given.get('kind') as AuditEventKind | null, given.get('after')];
  const variables = { userId, kind, after, first: 50 };
  const { data, previousData, error } = useQuery(AuditEventsDocument, { variables, fetchPolicy: 'network-only' });
  const events = (data ?? previousData)?.auditEvents;
  const end = data?.auditEvents.pageInfo.hasNextPage ? data.auditEvents.pageInfo.endCursor : null;
  const select = useId();
  const at = (more: Record<string, string>) =>
    `/audit?${new URLSearchParams({ ...(userId && { user: userId }), ...(kind && { kind }), ...more })}`;
  return (
    <Page title="Events" wide>
      {userId && (
        <p>
          Of one user: <Link to={`/users/${userId}`}>{userId}</Link>. <Link to="/audit">Show all</Link>
        </p>
      )}
      <div className="field">
        <label htmlFor={select}>What has happened</label>
        <select
          id={select}
          value={kind ?? ''}
          onChange={({ target }) =>
            go(
              `/audit?${new URLSearchParams({ ...(userId && { user: userId }), ...(target.value && { kind: target.value }) })}`,
            )
          }
        >
          <option value="">Anything</option>
          {Object.entries(kinds).map(([value, words]) => (
            <option key={value} value={value}>
              {words}
            </option>
          ))}
        </select>
      </div>
      {error && (
        <p className="problem" role="alert">
          {troubleOfFailure(error).message}
        </p>
      )}
      {events?.nodes.length === 0 && <p>Nothing of the kind.</p>}
      {events && events.nodes.length > 0 && (
        <table className="users">
          <thead>
            <tr>
              <th scope="col">What</th>
              <th scope="col">When</th>
              <th scope="col">Details</th>
              <th scope="col">By</th>
              <th scope="col">To</th>
              <th scope="col">From</th>
            </tr>
          </thead>
          <tbody>
            {events.nodes.map((event) => (
              <tr key={event.id}>
                <th scope="row">{kinds[event.kind]}</th>
                <td className="short" data-label="When">
                  <When at={event.occurredAt} />
                </td>
                <td data-label="Details">{event.detail}</td>
                <td data-label="By">{event.actorId && <User id={event.actorId} />}</td>
                <td data-label="To">{event.subjectId && <User id={event.subjectId} />}</td>
                <td data-label="From">{event.ipAddress}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <Paging back={after !== null} next={end && at({ after: end })} />
    </Page>
  );
}

/** By the beginning of the id: a name would be another request for each. */
function User({ id }: { id: string }) {
  return (
    <Link to={`/users/${id}`}>
      <code>{id.slice(0, 8)}</code>
    </Link>
  );
}
