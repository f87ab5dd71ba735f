/**
 * Email by SendGrid.
 * @see https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send
 */
import sendGridClient from '@sendgrid/client';
import sendGridMail from '@sendgrid/mail';
import { DeliveryError, type Transport } from './delivery.js';
import { createRetry, type FailedAttempt, readRetryAfterMs } from './retry.js';

// Invariant: both modules export an instance that has its class as a property.
// Their types do not show that to ES modules.
const { Client } = sendGridClient as unknown as { Client: new () => typeof sendGridClient };
const { MailService } = sendGridMail as unknown as { MailService: new () => typeof sendGridMail };

export interface SendGridOptions {
  apiKey: string;
  baseUrl: string;
  from: string;
}

/** The only status that means the message was accepted. */
const accepted = 202;

/** A tracked link would send the code to the tracker. Security mail has no unsubscribe. */
const noTracking = {
  clickTracking: { enable: false, enableText: false },
  openTracking: { enable: false },
  subscriptionTracking: { enable: false },
  ganalytics: { enable: false },
};

/** Sends by SendGrid. Retries a message that was certainly not accepted. */
export function createSendGrid({ apiKey, baseUrl, from }: SendGridOptions): Transport {
  const withRetry = createRetry(describe);
  return (envelope) =>
    withRetry(envelope, async ({ signal }) => {
      const client = new Client();
      client.setApiKey(apiKey);
      // Invariant: the client passes these options to Axios. Its types do not list them.
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

/** The client rejects with a response and its status as `code`, or with an error of Axios. */
function describe(error: unknown): FailedAttempt {
  if (error instanceof DeliveryError) return { reason: error.message };
  // Invariant: the client rejects with an Error, which may have these properties.
  const { name, code, response } = error as {
    name?: string;
    code?: number | string;
    response?: { status?: number; headers?: Record<string, string>; body?: unknown };
  };
  const reason = code === 'ERR_CANCELED' ? 'no response in time' : `SendGrid: ${response?.status ?? code ?? name}`;
  const providerMessage = readProviderMessage(response?.body);
  if (code !== 429) return { reason, providerMessage };
  return { reason, providerMessage, retryAfterMs: readRetryAfterMs(response?.headers?.['retry-after']) };
}

function readProviderMessage(body: unknown): string | undefined {
  if (typeof body !== 'object' || body === null || !('errors' in body) || !Array.isArray(body.errors)) return undefined;
  return body.errors.map((error) => [error?.field, error?.message].filter(Boolean).join(': ')).join('; ');
}
