/**
 * Usage reports for GraphOS Studio: operations, clients and durations, without variables, headers
 * and error messages.
 */
import type { ApolloServerPlugin, BaseContext } from '@apollo/server';
import { ApolloServerPluginUsageReportingDisabled } from '@apollo/server/plugin/disabled';
import { ApolloServerPluginUsageReporting } from '@apollo/server/plugin/usageReporting';
import type { App } from '../../app/app.js';

/** Returns the graph for Apollo Server, or an empty configuration without GraphOS Studio. */
export function toApolloConfig({ studio }: App['config']): { key?: string; graphRef?: string } {
  return studio === undefined ? {} : { key: studio.key, graphRef: studio.graphRef };
}

/** Reports usage if GraphOS Studio is configured. Logs a failed report. */
export function usageReporting({ config: { studio }, log }: App): ApolloServerPlugin<BaseContext> {
  if (studio === undefined) return ApolloServerPluginUsageReportingDisabled();
  return ApolloServerPluginUsageReporting({
    endpointUrl: studio.reportingUrl,
    // Reports contain the signature of a document, which has no literals.
    sendVariableValues: { none: true },
    sendHeaders: { none: true },
    sendErrors: { masked: true },
    sendUnexecutableOperationDocuments: false,
    // Measures the fields of every tenth request.
    fieldLevelInstrumentation: 0.1,
    logger: log,
    reportErrorFunction: (error) => log.warn({ err: error }, 'usage reporting failed'),
  });
}
