/** Paginated lists. @see https://relay.dev/graphql/connections.htm */
import { Field, ObjectType } from 'type-graphql';
import type { Page } from '../domain/pages.js';

@ObjectType('PageInfo', { description: 'Position of a page in its list.', simpleResolvers: true })
export class PageInfoType {
  @Field(() => Boolean, { description: 'Whether the list continues after this page.' })
  hasNextPage!: boolean;

  @Field(() => Boolean, { description: 'Whether the list has edges before this page.' })
  hasPreviousPage!: boolean;

  @Field(() => String, { nullable: true, description: 'Cursor of the first edge. Null on an empty page.' })
  startCursor!: string | null;

  @Field(() => String, { nullable: true, description: 'Cursor of the last edge, for `after`. Null on an empty page.' })
  endCursor!: string | null;
}

/** Converts a page of the domain to a connection. */
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
