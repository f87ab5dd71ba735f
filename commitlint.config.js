/** The form of commit messages. The release notes are made from them. */
export default {
  extends: ['@commitlint/config-conventional'],
  ignores: [(message) => message.startsWith('merge: ')],
  rules: {
    // Subjects may begin with a name, such as README or GraphQL.
    'subject-case': [0],
    // Bodies hold links, and Dependabot writes tables.
    'body-max-line-length': [0],
    'footer-max-line-length': [0],
  },
};
