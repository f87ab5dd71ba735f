/** A stub of the SMS API of Vonage. @see https://developer.vonage.com/en/api/sms */
import { randomBytes } from 'node:crypto';
import { type StubAnswer, type StubProvider, type StubRequest, startProvider } from './provider.js';

/** The body of `POST /sms/json`. */
export interface VonageSms {
  from: string;
  to: string;
  text: string;
}

export const vonageCredentials = { apiKey: 'stub-key', apiSecret: 'stub-secret-that-nobody-has' };

/** The environment of a service that sends its SMS here. */
export function vonageEnvironment({ url }: { url: string }): Record<string, string> {
  return {
    VONAGE_API_KEY: vonageCredentials.apiKey,
    VONAGE_API_SECRET: vonageCredentials.apiSecret,
    VONAGE_BASE_URL: url,
    SMS_FROM: 'Example',
  };
}

/** Starts a Vonage stub. Recipients are identified by number, without the plus. */
export function startVonage(port?: number): Promise<StubProvider<VonageSms>> {
  return startProvider<VonageSms>({ recipientOf: ({ to }) => to, accept: ({ to }) => vonageAnswer(to, ['0']) }, port);
}

/**
 * Texts of the used statuses.
 * @see https://developer.vonage.com/en/messaging/sms/guides/troubleshooting-sms
 */
const errorTexts: Record<string, string> = {
  1: 'Throughput Rate Exceeded - please wait [ 250 ] and retry',
  4: 'Bad Credentials',
  5: 'Internal Error',
  6: 'Unroutable message - rejected',
};

/**
 * A response with one status per message part. The HTTP status is always 200, and the count is a
 * text.
 */
export function vonageAnswer(to: string, statuses: string[], headers: Record<string, string> = {}): StubAnswer {
  const messages = statuses.map((status) =>
    status === '0'
      ? {
          to,
          'message-id': randomBytes(8).toString('hex').toUpperCase(),
          status,
          'remaining-balance': '3.14159265',
          'message-price': '0.03330000',
          network: '12345',
        }
      : { to, status, 'error-text': errorTexts[status] },
  );
  return { status: 200, headers, body: { 'message-count': String(statuses.length), messages } };
}

/** Returns the one-time password from the last line of an SMS, as a browser reads it. */
export function oneTimePasswordInSms({ body }: Pick<StubRequest<VonageSms>, 'body'>): string {
  return /\n@\S+ #(\S+)$/.exec(body.text)![1]!;
}
