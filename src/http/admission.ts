/** Admission control: sheds requests that the service could not answer in time. */
import type { FastifyReply } from 'fastify';
import type { App } from '../app/app.js';

/** How many requests are answered at once for each connection to the database. More would wait for a connection, and fail after two seconds. */
const requestsPerConnection = 20;

/** Answers a request, or sheds it. */
export type Admission = (reply: FastifyReply, answer: () => Promise<FastifyReply>) => Promise<FastifyReply>;

/**
 * Admits as many requests as the service can answer, and answers 503 to the others at once.
 * Requests that wait for a hash or a provider do not count, because those queues have limits of their own.
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
