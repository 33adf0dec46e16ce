// Parts of long lists, drawn again only when something they are given has changed.
import { Component, type ComponentChild, type ComponentClass } from "preact";

/** A component that `draw`, which uses no hooks, draws again only when a property is another one than before. */
export function steady<P extends object>(draw: (properties: P) => ComponentChild): ComponentClass<P> {
  return class Steady extends Component<P> {
    override shouldComponentUpdate(next: P): boolean {
      return (Object.keys(next) as (keyof P)[]).some((name) => next[name] !== this.props[name as keyof typeof this.props]);
    }

    override render(): ComponentChild {
      return draw(this.props as P);
    }
  };
}
