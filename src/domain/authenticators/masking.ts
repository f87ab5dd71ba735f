/** Masks addresses for callers who may not see them. */
import { parse } from 'tldts';

/**
 * Masks an email: `al***@ma**.ex*****.***`.
 * Keeps two characters of each part, but at most half. Keeps only the dots of a public suffix.
 * The domain stays in ASCII, as stored.
 */
export function maskEmail(email: string): string {
  const [local, domain, ...others] = email.split('@');
  if (local === undefined || domain === undefined || others.length > 0) throw new TypeError('not an email address');
  return `${mask(local)}@${maskDomain(domain)}`;
}

/** Masks all but the last two digits of a phone number: `+*********34`. */
export function maskPhone(phone: string): string {
  return phone.replace(/\d(?=\D*\d\D*\d)/g, '*');
}

function maskDomain(domain: string): string {
  const labels = domain.split('.');
  const suffix = labels.splice(labels.length - countSuffixLabels(domain));
  const registered = labels.pop() ?? '';
  const subdomain = labels.join('.');
  return [mask(subdomain), mask(registered), ...suffix.map(starAll)].filter((part) => part !== '').join('.');
}

/** Returns how many labels the public suffix has; 0 for an unknown top-level domain. */
function countSuffixLabels(domain: string): number {
  const { publicSuffix, isIcann } = parse(domain.toLowerCase(), {
    allowPrivateDomains: false,
    detectIp: false,
    extractHostname: false,
    validateHostname: false,
  });
  return publicSuffix && isIcann ? publicSuffix.split('.').length : 0;
}

function mask(part: string): string {
  const characters = [...part];
  const shown = Math.min(2, Math.floor(characters.length / 2));
  return characters.map((character, index) => (index < shown ? character : '*')).join('');
}

function starAll(part: string): string {
  return '*'.repeat([...part].length);
}
