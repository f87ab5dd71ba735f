/** The page at `/dev/outbox`. It has no script, and escapes all text of messages. */
import type { FastifyInstance } from 'fastify';
import type { App } from '../app/app.js';

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escapeHtml = (text: string) => text.replace(/[&<>"']/g, (character) => entities[character] ?? character);

const contentSecurityPolicy =
  "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/** Serves the outbox as a page, or as JSON if the client accepts it. */
export function addOutboxPage(http: FastifyInstance, app: App): void {
  http.get('/dev/outbox', async ({ headers }, reply) => {
    const messages = await app.outbox();
    if (headers.accept?.includes('application/json')) return messages;
    return reply
      .type('text/html; charset=utf-8')
      .header('content-security-policy', contentSecurityPolicy)
      .send(renderPage(messages));
  });
}

function renderPage(messages: Awaited<ReturnType<App['outbox']>>): string {
  const articles = messages.map(
    ({ channel, to, subject, text, oneTimePassword, sentAt }) => `
    <article>
      <header><b>${escapeHtml(subject ?? 'SMS')}</b><span>${channel} to ${escapeHtml(to)}</span><time datetime="${sentAt.toISOString()}">${sentAt.toISOString()}</time></header>
      ${oneTimePassword === null ? '' : `<p class="code">${escapeHtml(oneTimePassword)}</p>`}
      <details><summary>Message</summary><pre>${escapeHtml(text)}</pre></details>
    </article>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta http-equiv="refresh" content="5">
  <title>Outbox · flex-identity</title>
  <style>
    :root { color-scheme: light dark; }
    body { font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 2rem auto; padding: 0 1rem; }
    article { border: 1px solid color-mix(in srgb, currentColor 25%, transparent); border-radius: .5rem; padding: 1rem; margin: 1rem 0; }
    article header { display: flex; flex-wrap: wrap; gap: .25rem 1rem; }
    article span, time, .lead { opacity: .75; overflow-wrap: anywhere; }
    .code { font: 600 1.75rem/1.2 ui-monospace, monospace; letter-spacing: .1em; margin: .75rem 0; overflow-wrap: anywhere; }
    pre { white-space: pre-wrap; overflow-wrap: anywhere; }
  </style>
</head>
<body>
  <h1>Outbox</h1>
  <p class="lead">Captured messages (development only), newest first</p>
  <main>${articles.join('') || '\n    <p>No messages yet. Call <code>sendOneTimePassword</code> to send one.</p>'}
  </main>
</body>
</html>
`;
}
