/** How an address is shown to those who may not see it: enough to recognise one's own, too little to learn another's. */
import { parse } from 'tldts';

/**
 * An email of which each part keeps its first two characters at most, and never more than half: `al***@ma**.ex*****.***`.
 * Of a public suffix only the dots are left. A domain stays in the ASCII it is stored in.
 */
export function maskEmail(email: string): string {
  const [local, domain, ...others] = email.split('@');
  if (local === undefined || domain === undefined || others.length > 0) throw new TypeError('not an email address');
  return `${mask(local)}@${maskDomain(domain)}`;
}

/** A phone number in any format of which only the last two digits are left: `+*********34`. */
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

/** How many labels the registries of the DNS own; none where the top-level domain is unknown. */
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
