/** Apollo Server, with the defaults changed that do not suit an identity API. */
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

/** Of documents that were parsed and validated. Some hundreds as front ends send them, and anybody can send others. */
const documentStoreBytes = 8 * 1024 * 1024;

/**
 * What a document takes in memory, about: its text and, linked to it, every token with what was made of it, comments included.
 * Apollo's own measure is the document as JSON, which has neither: 30 MiB by that, its default, are more memory than the process has.
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
      if (answer.kind !== 'complete') throw new Error('nothing here is answered in parts');
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

/** Variables and fields can be wrong as often as a document has them. */
const limitErrors: ApolloServerPlugin<Context> = {
  async requestDidStart() {
    return {
      async willSendResponse({ response: { body } }) {
        if (body.kind === 'single') body.singleResult.errors &&= body.singleResult.errors.slice(0, maxErrors);
      },
    };
  },
};

const refusedDocument = new Set([
  'GRAPHQL_PARSE_FAILED',
  'GRAPHQL_VALIDATION_FAILED',
  'BAD_USER_INPUT',
  'OPERATION_RESOLUTION_FAILURE',
]);

/**
 * A document that is refused before it runs is a 400 in `application/graphql-response+json` and a 200 in `application/json`, whose clients look into the body.
 * Which of the two the client takes is known only when Apollo has chosen.
 * @see https://graphql.github.io/graphql-over-http/draft/#sec-application-json
 */
function toHttpStatus(status: number, headers: HeaderMap, body: string): number {
  if (status !== 400 || !headers.get('content-type')?.startsWith('application/json')) return status;
  // Invariant: Apollo has written the body.
  const { errors }: { errors?: readonly GraphQLFormattedError[] } = JSON.parse(body);
  return errors?.some(({ extensions }) => refusedDocument.has(String(extensions?.code))) ? 200 : 400;
}
