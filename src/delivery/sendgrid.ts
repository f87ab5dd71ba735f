/** Email by SendGrid. @see https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send */
import sendGridClient from '@sendgrid/client';
import sendGridMail from '@sendgrid/mail';
import { DeliveryError, type Transport } from './delivery.js';
import { createRetry, type Failure, retryAfterMilliseconds } from './retry.js';

// Invariant: both modules export their class as a property of the instance that they export. Their types do not say so to an ES module.
const { Client } = sendGridClient as unknown as { Client: new () => typeof sendGridClient };
const { MailService } = sendGridMail as unknown as { MailService: new () => typeof sendGridMail };

export interface SendGridOptions {
  apiKey: string;
  baseUrl: string;
  from: string;
}

/** The only status of a message that was taken. */
const accepted = 202;

/** A tracked link would hand the one-time password to the tracker; and these are no messages to unsubscribe from. */
const noTracking = {
  clickTracking: { enable: false, enableText: false },
  openTracking: { enable: false },
  subscriptionTracking: { enable: false },
  ganalytics: { enable: false },
};

/** Sends by SendGrid. A message that was certainly not accepted is tried again, within the limits of `retry.ts`. */
export function createSendGrid({ apiKey, baseUrl, from }: SendGridOptions): Transport {
  const withRetry = createRetry(describe);
  return (envelope) =>
    withRetry(envelope, async ({ signal }) => {
      const client = new Client();
      client.setApiKey(apiKey);
      // Invariant: the client hands its options to Axios, which reads these. The types of the client do not list them.
      client.setDefaultRequest({ baseUrl: `${baseUrl}/`, signal, maxRedirects: 0, maxContentLength: 65_536 } as never);
      const mail = new MailService();
      mail.setClient(client);
      const { to, subject, text, html } = envelope;
      const [{ statusCode }] = await mail.send({
        to: { email: to },
        from,
        subject: subject ?? '',
        text,
        html: html ?? '',
        trackingSettings: noTracking,
      });
      if (statusCode !== accepted) throw new DeliveryError(`SendGrid: ${statusCode}`);
    });
}

/** The client rejects with the status as `code` and the answer; or with the error of Axios below it. */
function describe(error: unknown): Failure {
  if (error instanceof DeliveryError) return { reason: error.message };
  // Invariant: the client rejects with an Error, which may have these.
  const { name, code, response } = error as {
    name?: string;
    code?: number | string;
    response?: { status?: number; headers?: Record<string, string>; body?: unknown };
  };
  const reason = code === 'ERR_CANCELED' ? 'no answer in time' : `SendGrid: ${response?.status ?? code ?? name}`;
  const providerMessage = readProviderMessage(response?.body);
  if (code !== 429) return { reason, providerMessage };
  return {
    reason,
    providerMessage,
    repeatAfterMilliseconds: retryAfterMilliseconds(response?.headers?.['retry-after']),
  };
}

function readProviderMessage(body: unknown): string | undefined {
  if (typeof body !== 'object' || body === null || !('errors' in body) || !Array.isArray(body.errors)) return undefined;
  return body.errors.map((error) => [error?.field, error?.message].filter(Boolean).join(': ')).join('; ');
}
