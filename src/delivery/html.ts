/**
 * HTML of emails. Inline styles hold what every mail client must show: some remove the head.
 * The head holds what only some support, such as dark mode.
 * The layout uses tables, because Outlook supports nothing else.
 */

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}

/** @param text without markup */
export function paragraph(text: string): string {
  return `<p style="margin:0 0 16px">${escapeHtml(text)}</p>`;
}

/** Secondary text at the end of the email. */
export function smallPrint(text: string): string {
  return `<p class="small" style="margin:16px 0 0;font-size:14px;color:#52525b">${escapeHtml(text)}</p>`;
}

/** A one-time password in large groups. The gaps are margins, so a copy holds no spaces. */
export function codeBlock(oneTimePassword: string): string {
  const groups = oneTimePassword.match(/.{1,4}/g) ?? [];
  const spans = groups.map(
    (group, index) =>
      `<span style="white-space:nowrap${index < groups.length - 1 ? ';margin-right:16px' : ''}">${escapeHtml(group)}</span>`,
  );
  return `<p class="code" style="margin:0 0 16px;padding:12px 16px;border-radius:8px;background:#f4f4f5;font:700 30px/1.4 ui-monospace,'SF Mono',Menlo,Consolas,monospace;letter-spacing:2px;-webkit-user-select:all;user-select:all">${spans.join('<wbr>')}</p>`;
}

/** A link that looks like a button. @param label text without markup */
export function button(label: string, link: string): string {
  return `<p style="margin:0 0 16px"><a href="${escapeHtml(link)}" style="display:inline-block;padding:10px 18px;border-radius:8px;background:#1d4ed8;color:#ffffff;font-weight:600;text-decoration:none">${escapeHtml(label)}</a></p>`;
}

/** @param blocks HTML from the functions above */
export function emailDocument(title: string, blocks: string[]): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>${escapeHtml(title)}</title>
<style>
:root { color-scheme: light dark; }
@media (prefers-color-scheme: dark) {
.back { background: #18181b !important; }
.card { background: #27272a !important; color: #f4f4f5 !important; }
.code { background: #3f3f46 !important; }
.small { color: #a1a1aa !important; }
}
</style>
</head>
<body class="back" style="margin:0;background:#f4f4f5">
<table role="presentation" class="back" width="100%" cellpadding="0" cellspacing="0" style="background:#f4f4f5"><tr><td align="center" style="padding:24px 12px">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="max-width:512px"><tr><td class="card" align="left" style="padding:28px;border-radius:12px;background:#ffffff;color:#18181b;font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,Arial,sans-serif;overflow-wrap:anywhere">
<h1 style="margin:0 0 16px;font-size:20px;line-height:1.3">${escapeHtml(title)}</h1>
${blocks.join('\n')}
</td></tr></table>
</td></tr></table>
</body>
</html>
`;
}
