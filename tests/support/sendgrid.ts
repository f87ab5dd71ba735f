/**
 * A stub of the v3 protocol of SendGrid.
 * @see https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send
 */
import { randomBytes } from 'node:crypto';
import { type StubAnswer, type StubProvider, type StubRequest, startProvider } from './provider.js';

interface Address {
  email: string;
  name?: string;
}

/** The body of `POST /v3/mail/send`. */
export interface SendGridMail {
  personalizations: { to: Address[]; cc?: Address[]; bcc?: Address[] }[];
  from: Address;
  subject: string;
  content: { type: string; value: string }[];
  tracking_settings?: Record<string, { enable: boolean }>;
}

export const sendGridApiKey = 'SG.stub-key-that-nobody-has';

/** The environment of a service that sends its emails here. */
export function sendGridEnvironment({ url }: { url: string }): Record<string, string> {
  return {
    SENDGRID_API_KEY: sendGridApiKey,
    SENDGRID_BASE_URL: url,
    EMAIL_FROM: 'Example Identity <no-reply@example.com>',
  };
}

/** Starts a SendGrid stub. Recipients are identified by address. */
export function startSendGrid(port?: number): Promise<StubProvider<SendGridMail>> {
  const recipientOf = ({ personalizations }: SendGridMail) => personalizations[0]!.to[0]!.email;
  const accept = () => ({ status: 202, headers: { 'x-message-id': randomBytes(16).toString('base64url') } });
  return startProvider<SendGridMail>({ recipientOf, accept }, port);
}

/** An error in the format of SendGrid. */
export function sendGridRefusal(
  status: number,
  message: string,
  field: string | null = null,
  headers: Record<string, string> = {},
): StubAnswer {
  return { status, headers, body: { errors: [{ message, field, help: null }] } };
}

/** Returns a MIME part of a mail. */
export function contentOf({ body }: Pick<StubRequest<SendGridMail>, 'body'>, type: 'text/plain' | 'text/html'): string {
  return body.content.find((content) => content.type === type)!.value;
}

/** Returns the one-time password of a mail from its link. */
export function oneTimePasswordInMail(request: Pick<StubRequest<SendGridMail>, 'body'>): string {
  const [link] = /https?:\/\/\S+/.exec(contentOf(request, 'text/plain'))!;
  return new URLSearchParams(new URL(link).hash.slice(1)).get('code')!;
}
