/** Email by SendGrid. @see https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send */
import sendGridClient from '@sendgrid/client';
import sendGridMail from '@sendgrid/mail';
import type { Transport } from './delivery.js';
import { createTries, type Failure, retryAfterMilliseconds } from './tries.js';

// Both modules export their class as a property of the instance that they export: their types say so in a way that no ES module can read.
const { Client } = sendGridClient as unknown as { Client: new () => typeof sendGridClient };
const { MailService } = sendGridMail as unknown as { MailService: new () => typeof sendGridMail };

export interface SendGridOptions {
  apiKey: string;
  baseUrl: string;
  from: string;
}

export function createSendGrid({ apiKey, baseUrl, from }: SendGridOptions): Transport {
  const withTries = createTries(describe);
  return ({ to, subject, text, html }) =>
    withTries(async (signal) => {
      const client = new Client();
      client.setApiKey(apiKey);
      // Axios, which the client hands them to, reads these; the types of the client do not list them.
      client.setDefaultRequest({ baseUrl: `${baseUrl}/`, signal, maxRedirects: 0, maxContentLength: 65_536 } as never);
      const mail = new MailService();
      mail.setClient(client);
      await mail.send({
        to,
        from,
        subject: subject ?? '',
        text,
        html: html ?? '',
        // A tracked link would hand the one-time password to the tracker.
        trackingSettings: { clickTracking: { enable: false, enableText: false }, openTracking: { enable: false } },
      });
    });
}

/** The client rejects with the status as `code`, or with the error of the connection. */
function describe(error: unknown): Failure {
  const { code, response } = error as { code?: unknown; response?: { headers?: Record<string, string> } };
  const reason = `SendGrid: ${typeof code === 'number' || typeof code === 'string' ? code : (error as Error).name}`;
  if (code !== 429) return { reason };
  return { reason, repeatAfterMilliseconds: retryAfterMilliseconds(response?.headers?.['retry-after']) };
}
