/** The audit log, for superusers. */
import { useQuery } from '@apollo/client/react';
import { useId } from 'react';
import { toRequestError } from '../form-error.js';
import { type AuditEventKind, AuditEventsDocument } from '../generated/graphql.js';
import { go, Link, useLocation } from '../router.js';
import { Page, Pagination, Timestamp } from '../ui.js';

/** The service may be newer than the page, and know more kinds. */
const kindLabels: Record<AuditEventKind, string> = {
  SIGNED_UP: 'Signed up',
  SUPERUSER_CREATED: 'Superuser created',
  SIGNED_IN: 'Signed in',
  SIGN_IN_FAILED: 'Sign-in failed',
  SIGN_IN_THROTTLED: 'Sign-in rate-limited',
  CURRENT_PASSWORD_REFUSED: 'Current password incorrect',
  ONE_TIME_PASSWORD_SENT: 'Code sent',
  ONE_TIME_PASSWORD_GENERATED: 'Code generated',
  ONE_TIME_PASSWORD_ACCEPTED: 'Code accepted',
  ONE_TIME_PASSWORD_REFUSED: 'Code rejected',
  ONE_TIME_PASSWORD_THROTTLED: 'Code rate-limited',
  SECURITY_TOKEN_UNLOCKED: 'Address unlocked',
  PASSWORD_CHANGED: 'Password changed',
  PASSWORD_RESET: 'Password reset',
  PASSWORD_SET: 'Password set',
  PASSWORD_REMOVED: 'Password removed',
  IDENTIFIERS_CHANGED: 'Identifiers changed',
  ACTIVATION_CHANGED: 'Status changed',
  ROLES_CHANGED: 'Roles changed',
  USER_DELETED: 'Account deleted',
  SESSION_ENDED: 'Session revoked',
  REFRESH_TOKEN_REUSED: 'Refresh token reuse detected',
  ADDRESS_ADDED: 'Address added',
  ADDRESS_VERIFIED: 'Address verified',
  ADDRESS_LOST: 'Unverified address lost',
  OWNERSHIP_PROVEN: 'Ownership verified',
  REAUTHENTICATED: 'Signed in again',
};

/** The address holds the filter and the page, so that the browser's back button works. */
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
    <Page title="Audit log" wide>
      {userId && (
        <p>
          Filtered by user: <Link to={`/users/${userId}`}>{userId}</Link>. <Link to="/audit">Show all users</Link>
        </p>
      )}
      <div className="field">
        <label htmlFor={select}>Event</label>
        <select
          id={select}
          value={kind ?? ''}
          onChange={({ target }) =>
            go(
              `/audit?${new URLSearchParams({ ...(userId && { user: userId }), ...(target.value && { kind: target.value }) })}`,
            )
          }
        >
          <option value="">All events</option>
          {Object.entries(kindLabels).map(([value, label]) => (
            <option key={value} value={value}>
              {label}
            </option>
          ))}
        </select>
      </div>
      {error && (
        <p className="problem" role="alert">
          {toRequestError(error).message}
        </p>
      )}
      {events?.nodes.length === 0 && <p>No matching events.</p>}
      {events && events.nodes.length > 0 && (
        <table className="users">
          <thead>
            <tr>
              <th scope="col">Event</th>
              <th scope="col">Time</th>
              <th scope="col">Details</th>
              <th scope="col">Actor</th>
              <th scope="col">User</th>
              <th scope="col">IP address</th>
            </tr>
          </thead>
          <tbody>
            {events.nodes.map((event) => (
              <tr key={event.id}>
                <th scope="row">{kindLabels[event.kind] ?? event.kind}</th>
                <td className="short" data-label="Time">
                  <Timestamp at={event.occurredAt} />
                </td>
                <td data-label="Details">{event.detail}</td>
                <td data-label="Actor">{event.actorId && <UserLink id={event.actorId} />}</td>
                <td data-label="User">{event.subjectId && <UserLink id={event.subjectId} />}</td>
                <td data-label="IP address">{event.ipAddress}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <Pagination back={after !== null} next={end && at({ after: end })} />
    </Page>
  );
}

/** Shows the start of the id. A name would need one more request for each user. */
function UserLink({ id }: { id: string }) {
  return (
    <Link to={`/users/${id}`}>
      <code>{id.slice(0, 8)}</code>
    </Link>
  );
}
