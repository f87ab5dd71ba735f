/** Pages of a list. @see https://relay.dev/graphql/connections.htm */
import { Field, ObjectType } from 'type-graphql';
import type { Page } from '../domain/pages.js';

@ObjectType('PageInfo', { description: 'Where a page lies in its list.', simpleResolvers: true })
export class PageInfoType {
  @Field(() => Boolean, { description: 'Whether something follows.' })
  hasNextPage!: boolean;

  @Field(() => Boolean, { description: 'Whether something comes before.' })
  hasPreviousPage!: boolean;

  @Field(() => String, { nullable: true, description: 'Of the first edge; null on an empty page.' })
  startCursor!: string | null;

  @Field(() => String, { nullable: true, description: 'Of the last edge, for `after`; null on an empty page.' })
  endCursor!: string | null;
}

/** A page as the domain gives it, in the form of a connection. */
export function toConnection<Node>({
  edges,
  hasNextPage,
  hasPreviousPage,
}: Page<Node>): Pick<Page<Node>, 'edges'> & { nodes: Node[]; pageInfo: PageInfoType } {
  const [startCursor, endCursor] = [edges[0]?.cursor ?? null, edges.at(-1)?.cursor ?? null];
  return {
    edges,
    nodes: edges.map(({ node }) => node),
    pageInfo: { hasNextPage, hasPreviousPage, startCursor, endCursor },
  };
}
