/** Traces for GraphOS Studio, where a key and a graph are configured: which operations, by which clients, how long. Never with what. */
import type { ApolloServerPlugin, BaseContext } from '@apollo/server';
import { ApolloServerPluginUsageReportingDisabled } from '@apollo/server/plugin/disabled';
import { ApolloServerPluginUsageReporting } from '@apollo/server/plugin/usageReporting';
import type { App } from '../../app/app.js';

/** The graph to report to, for Apollo Server; empty where nothing is reported. */
export function toApolloConfig({ studio }: App['config']): { key?: string; graphRef?: string } {
  return studio === undefined ? {} : { key: studio.key, graphRef: studio.graphRef };
}

/** Reports usage where GraphOS Studio is configured. A failed report is logged. */
export function usageReporting({ config: { studio }, log }: App): ApolloServerPlugin<BaseContext> {
  if (studio === undefined) return ApolloServerPluginUsageReportingDisabled();
  return ApolloServerPluginUsageReporting({
    endpointUrl: studio.reportingUrl,
    // Literals are taken out of documents by the signature under which they are reported.
    sendVariableValues: { none: true },
    sendHeaders: { none: true },
    sendErrors: { masked: true },
    sendUnexecutableOperationDocuments: false,
    // Of every tenth request, how long each field took.
    fieldLevelInstrumentation: 0.1,
    logger: log,
    reportErrorFunction: (error) => log.warn({ err: error }, 'usage reporting failed'),
  });
}
