# Answers on the socket that tenure bound, descriptor 3, one thread for each connection.
require "socket"

server = TCPServer.for_fd(3)
ended, ending = IO.pipe
Signal.trap("TERM") { ending.write_nonblock(".") }
threads = []

def answer(client)
  loop do
    line = client.gets
    break if line.nil? || line.strip.empty?
  end
  client.write("HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n")
rescue SystemCallError
  # The client has gone.
ensure
  client.close
end

# At TERM: accept no more, answer what was accepted, end.
until IO.select([server, ended]).first.include?(ended)
  client = server.accept_nonblock(exception: false)
  threads = threads.select(&:alive?) << Thread.new(client) { |one| answer(one) } unless client == :wait_readable
end
threads.each(&:join)
