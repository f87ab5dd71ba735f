/** Admission control: rejects requests that the service could not answer in time. */
import type { FastifyReply } from 'fastify';
import type { App } from '../app/app.js';

/**
 * The maximum number of concurrent requests per database connection. More would time out in the
 * pool.
 */
const requestsPerConnection = 20;

/** Answers a request, or rejects it with 503. */
export type Admission = (reply: FastifyReply, answer: () => Promise<FastifyReply>) => Promise<FastifyReply>;

/**
 * Creates admission control with a limit by the size of the connection pool.
 * Requests that wait for a hash or a provider do not count, because those queues have limits of
 * their own.
 */
export function createAdmissionControl({ config, passwords, waitingForProvider, metrics }: App): Admission {
  const maxInFlight = requestsPerConnection * config.databasePoolSize;
  let inFlight = 0;
  return async (reply, answer) => {
    if (inFlight - passwords.waiting() - waitingForProvider() >= maxInFlight) {
      metrics.shed();
      const extensions = { code: 'SERVICE_UNAVAILABLE' };
      const message = 'The service is temporarily unavailable. Try again soon.';
      return reply
        .code(503)
        .header('retry-after', '1')
        .send({ errors: [{ message, extensions }] });
    }
    inFlight += 1;
    try {
      return await answer();
    } finally {
      inFlight -= 1;
    }
  };
}
