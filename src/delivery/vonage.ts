/** SMS by Vonage. @see https://developer.vonage.com/en/api/sms */
import { SMS, SMSFailure } from '@vonage/sms';
import { DeliveryError, type Transport } from './delivery.js';
import { createRetry, type Failure, retryAfterMilliseconds } from './retry.js';

export interface VonageOptions {
  apiKey: string;
  apiSecret: string;
  baseUrl: string;
  from: string;
}

/** Status of a message that was throttled, and so not taken. @see https://developer.vonage.com/en/messaging/sms/guides/troubleshooting-sms */
const throttled = '1';

/** Sends by Vonage. A message that was certainly not accepted is tried again, within the limits of `retry.ts`. */
export function createVonage({ apiKey, apiSecret, baseUrl, from }: VonageOptions): Transport {
  const withRetry = createRetry(describe);
  return (envelope) =>
    withRetry(envelope, async ({ milliseconds }) => {
      // One for each try, for the client takes its limit of time when it is made.
      const client = new Client({ apiKey, apiSecret }, { restHost: baseUrl, timeout: milliseconds });
      const { messages } = await client.send({ to: bare(envelope.to), from: bare(from), text: envelope.text });
      // The client takes an answer without messages for a success.
      if (messages === undefined || messages.length === 0) throw new DeliveryError('Vonage answered no message');
    });
}

/** A number as Vonage writes it; a name is left as it is. */
function bare(number: string): string {
  return number.replace(/^\+/, '');
}

/** An answer with a status of failure. */
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

class Client extends SMS {
  /** Reads a refusal to its end while the limit of time still runs: what is not read holds its socket. */
  protected override async parseResponse<T>(
    ...[request, response]: Parameters<SMS['parseResponse']>
  ): ReturnType<typeof SMS.prototype.sendRequest<T>> {
    if (response.ok) return super.parseResponse(request, response);
    throw new StatusError(response.status, response.headers.get('retry-after'), await response.text());
  }
}

function describe(error: unknown): Failure {
  if (error instanceof DeliveryError) return { reason: error.message };
  if (error instanceof SMSFailure) {
    const messages = error.getMessages();
    const reason = `Vonage: status ${messages.map(({ status }) => status).join(', ')}`;
    const providerMessage = messages.flatMap(({ errorText }) => errorText ?? []).join('; ');
    // One message in several parts: what has gone in part is not sent again.
    const taken = messages.some(({ status }) => String(status) !== throttled);
    return taken ? { reason, providerMessage } : { reason, providerMessage, repeatAfterMilliseconds: 1000 };
  }
  if (!(error instanceof StatusError)) {
    // Invariant: the client rejects with an Error, which may have a code.
    const { name, code } = error as { name?: string; code?: string };
    return { reason: name === 'AbortError' ? 'no answer in time' : `Vonage: ${code ?? name}` };
  }
  const { status, retryAfter, body } = error;
  const repeatAfterMilliseconds = status === 429 ? retryAfterMilliseconds(retryAfter) : undefined;
  return { reason: `Vonage: ${status}`, providerMessage: body, repeatAfterMilliseconds };
}
