/** Apollo Server with secure defaults for an identity API. */
import { ApolloServer, type ApolloServerPlugin, HeaderMap } from '@apollo/server';
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginInlineTraceDisabled,
  ApolloServerPluginLandingPageDisabled,
} from '@apollo/server/plugin/disabled';
import { InMemoryLRUCache } from '@apollo/utils.keyvaluecache';
import type { DocumentNode, GraphQLFormattedError, Token } from 'graphql';
import type { App } from '../../app/app.js';
import { type Context, createContext, type RequestFacts } from './context.js';
import { explorer } from './explorer.js';
import {
  maxDepthRule,
  maxDirectivesRule,
  maxErrors,
  maxSelections,
  maxTokens,
  singleMutationFieldRule,
} from './limits.js';
import { formatError } from './mask-errors.js';
import { createSchema } from './schema.js';
import { sessionPlugin } from './session-plugin.js';
import { toApolloConfig, usageReporting } from './usage-reporting.js';

export interface GraphQLRequest extends RequestFacts {
  method: string;
  headers: Record<string, string | string[] | undefined>;
  /** the query string with its question mark, or empty */
  search: string;
  body: unknown;
}

export interface GraphQLResponse {
  status: number;
  headers: Iterable<[string, string]>;
  body: string;
}

export interface GraphQLService {
  execute(request: GraphQLRequest): Promise<GraphQLResponse>;
  stop(): Promise<void>;
}

/**
 * The size of the cache of parsed documents. It holds some hundred documents, and any client can
 * add documents.
 */
const documentStoreBytes = 8 * 1024 * 1024;

/**
 * Estimates the memory of a document: its text and all tokens, including comments.
 * Apollo measures the document as JSON, without both. Its default of 30 MiB would exceed the memory
 * of the process.
 */
function estimateDocumentBytes({ loc }: DocumentNode): number {
  // Invariant: Apollo parses documents with their locations.
  let bytes = 2 * loc!.source.body.length;
  for (let token: Token | null = loc!.startToken; token !== null; token = token.next) bytes += 250;
  return bytes;
}

/** Starts Apollo Server for the app. */
export async function createGraphQLService(app: App): Promise<GraphQLService> {
  const apollo = createApollo(app);
  await apollo.start();
  return {
    async execute({ method, headers, search, body, ...facts }) {
      const {
        status,
        headers: answered,
        body: answer,
      } = await apollo.executeHTTPGraphQLRequest({
        httpGraphQLRequest: { method, headers: toHeaderMap(headers), search, body },
        context: async () => createContext(app, facts),
      });
      if (answer.kind !== 'complete') throw new Error('incremental delivery is not supported');
      return { status: toHttpStatus(status ?? 200, answered, answer.string), headers: answered, body: answer.string };
    },
    stop: () => apollo.stop(),
  };
}

function createApollo(app: App): ApolloServer<Context> {
  const { production, introspection } = app.config;
  return new ApolloServer<Context>({
    schema: createSchema(),
    introspection,
    parseOptions: { maxTokens },
    maxRecursiveSelections: maxSelections,
    validationRules: [singleMutationFieldRule, maxDepthRule, maxDirectivesRule],
    validationOptions: { maxErrors },
    formatError: formatError(app),
    hideSchemaDetailsFromClientErrors: production,
    includeStacktraceInErrorResponses: false,
    persistedQueries: false,
    documentStore: new InMemoryLRUCache<DocumentNode>({
      maxSize: documentStoreBytes,
      sizeCalculation: estimateDocumentBytes,
    }),
    stopOnTerminationSignals: false,
    logger: app.log,
    apollo: toApolloConfig(app.config),
    plugins: [
      sessionPlugin,
      limitErrors,
      ApolloServerPluginCacheControlDisabled(),
      ApolloServerPluginInlineTraceDisabled(),
      usageReporting(app),
      production ? ApolloServerPluginLandingPageDisabled() : explorer(),
    ],
  });
}

function toHeaderMap(headers: GraphQLRequest['headers']): HeaderMap {
  const map = new HeaderMap();
  for (const [name, value] of Object.entries(headers))
    if (value !== undefined) map.set(name, Array.isArray(value) ? value.join(', ') : value);
  return map;
}

/** Truncates the error list, because it can grow with the document. */
const limitErrors: ApolloServerPlugin<Context> = {
  async requestDidStart() {
    return {
      async willSendResponse({ response: { body } }) {
        if (body.kind === 'single') body.singleResult.errors &&= body.singleResult.errors.slice(0, maxErrors);
      },
    };
  },
};

const requestErrorCodes = new Set([
  'GRAPHQL_PARSE_FAILED',
  'GRAPHQL_VALIDATION_FAILED',
  'BAD_USER_INPUT',
  'OPERATION_RESOLUTION_FAILURE',
]);

/**
 * Changes 400 to 200 for request errors in `application/json`, as GraphQL over HTTP requires.
 * Runs after Apollo, because Apollo negotiates the content type.
 * @see https://graphql.github.io/graphql-over-http/draft/#sec-application-json
 */
function toHttpStatus(status: number, headers: HeaderMap, body: string): number {
  if (status !== 400 || !headers.get('content-type')?.startsWith('application/json')) return status;
  // Invariant: Apollo has written the body.
  const { errors }: { errors?: readonly GraphQLFormattedError[] } = JSON.parse(body);
  return errors?.some(({ extensions }) => requestErrorCodes.has(String(extensions?.code))) ? 200 : 400;
}
