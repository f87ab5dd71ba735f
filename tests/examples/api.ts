/** Where the API is. */
export const api = 'http://localhost:4000/graphql';
