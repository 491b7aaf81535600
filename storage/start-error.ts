/** The store cannot start, and the user can do something about it: the message is fit to be shown as it is. */
export class StoreStartError extends Error {
  override readonly name = 'StoreStartError'
}
