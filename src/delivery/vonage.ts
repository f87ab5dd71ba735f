/** SMS by Vonage. @see https://developer.vonage.com/en/api/sms */
import { SMS, SMSFailure } from '@vonage/sms';
import { DeliveryError, type Transport } from './delivery.js';
import { createRetry, type FailedAttempt, readRetryAfterMs } from './retry.js';

export interface VonageOptions {
  apiKey: string;
  apiSecret: string;
  baseUrl: string;
  from: string;
}

/**
 * Status of a message that was throttled, and therefore not accepted.
 * @see https://developer.vonage.com/en/messaging/sms/guides/troubleshooting-sms
 */
const throttled = '1';

/** Sends by Vonage. Retries a message that was certainly not accepted. */
export function createVonage({ apiKey, apiSecret, baseUrl, from }: VonageOptions): Transport {
  const withRetry = createRetry(describe);
  return (envelope) =>
    withRetry(envelope, async ({ remainingMs }) => {
      // Each attempt needs a new client, because the timeout is an option of the constructor.
      const client = new VonageClient({ apiKey, apiSecret }, { restHost: baseUrl, timeout: remainingMs });
      const { messages } = await client.send({
        to: withoutPlus(envelope.to),
        from: withoutPlus(from),
        text: envelope.text,
      });
      // The client treats a response without messages as a success.
      if (messages === undefined || messages.length === 0) throw new DeliveryError('Vonage returned no message status');
    });
}

/** Removes the plus, as Vonage requires. A sender name stays as it is. */
function withoutPlus(number: string): string {
  return number.replace(/^\+/, '');
}

/** A response whose HTTP status is an error. */
class StatusError extends Error {
  override readonly name = 'StatusError';
  constructor(
    readonly status: number,
    readonly retryAfter: string | null,
    readonly body: string,
  ) {
    super(`status ${status}`);
  }
}

class VonageClient extends SMS {
  /** Reads the body of an error response within the timeout. An unread body holds its socket. */
  protected override async parseResponse<T>(
    ...[request, response]: Parameters<SMS['parseResponse']>
  ): ReturnType<typeof SMS.prototype.sendRequest<T>> {
    if (response.ok) return super.parseResponse(request, response);
    throw new StatusError(response.status, response.headers.get('retry-after'), await response.text());
  }
}

function describe(error: unknown): FailedAttempt {
  if (error instanceof DeliveryError) return { reason: error.message };
  if (error instanceof SMSFailure) {
    const messages = error.getMessages();
    const reason = `Vonage: status ${messages.map(({ status }) => status).join(', ')}`;
    const providerMessage = messages.flatMap(({ errorText }) => errorText ?? []).join('; ');
    // A long message has several parts. If any part was accepted, do not send the message again.
    const accepted = messages.some(({ status }) => String(status) !== throttled);
    return accepted ? { reason, providerMessage } : { reason, providerMessage, retryAfterMs: 1000 };
  }
  if (!(error instanceof StatusError)) {
    // Invariant: the client rejects with an Error, which may have a code.
    const { name, code } = error as { name?: string; code?: string };
    return { reason: name === 'AbortError' ? 'no response in time' : `Vonage: ${code ?? name}` };
  }
  const { status, retryAfter, body } = error;
  const retryAfterMs = status === 429 ? readRetryAfterMs(retryAfter) : undefined;
  return { reason: `Vonage: ${status}`, providerMessage: body, retryAfterMs };
}
