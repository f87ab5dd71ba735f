/** The URL of the API. */
export const api = 'http://localhost:4000/graphql';
