/** SMS by Vonage. @see https://developer.vonage.com/en/api/sms */
import { MessageSendAllFailure, SMS } from '@vonage/sms';
import { DeliveryError, type Transport } from './delivery.js';
import { createTries, type Failure, retryAfterMilliseconds } from './tries.js';

export interface VonageOptions {
  apiKey: string;
  apiSecret: string;
  baseUrl: string;
  from: string;
}

/** The client's own limit of time, so that its socket is closed when ours has passed. */
const timeoutMilliseconds = 5_000;

/** Status of a message that was throttled, and so not taken. @see https://developer.vonage.com/en/messaging/sms/guides/troubleshooting-sms */
const throttled = '1';

export function createVonage({ apiKey, apiSecret, baseUrl, from }: VonageOptions): Transport {
  const client = new SMS({ apiKey, apiSecret }, { restHost: baseUrl, timeout: timeoutMilliseconds });
  const withTries = createTries(describe);
  return ({ to, text }) =>
    withTries(async () => {
      const { messages } = await client.send({ to: to.replace('+', ''), from, text });
      // The client takes an answer without messages for a success.
      if (messages === undefined || messages.length === 0) throw new DeliveryError('Vonage answered no message');
    });
}

function describe(error: unknown): Failure {
  if (error instanceof DeliveryError) return { reason: error.message };
  if (error instanceof MessageSendAllFailure) {
    const statuses = error.getFailedMessages().map(({ status }) => String(status));
    const reason = `Vonage: status ${statuses.join(', ')}`;
    return statuses.every((status) => status === throttled) ? { reason, repeatAfterMilliseconds: 1000 } : { reason };
  }
  const { response, name } = error as { response?: Response; name?: string };
  const reason = `Vonage: ${response?.status ?? name}`;
  if (response?.status !== 429) return { reason };
  return { reason, repeatAfterMilliseconds: retryAfterMilliseconds(response.headers.get('retry-after')) };
}
