# Answers each request with the places that an application of Rails may take
# its path for, one a line. At the second port it has routes with formats.
require 'action_controller'
require 'puma'

PLACES = %w[static admin closed other deep/er _gate].freeze

class PlacesController < ActionController::Metal
  def show
    route = params[:place] && "/#{params[:place]}#{params[:rest] && "/#{params[:rest]}"}"
    info = request.path_info
    self.response_body = [info, request.path, route, params[:all] && "/#{params[:all]}", Rack::Utils.clean_path_info(Rack::Utils.unescape_path(info))].compact.join("\n")
  end

  def formatted
    self.response_body = params[:format] && params[:place] ? "/#{params[:place]}" : ''
  end
end

plain = ActionDispatch::Routing::RouteSet.new
plain.draw do
  PLACES.each do |place|
    match "/#{place}", to: 'places#show', via: :all, format: false, place: place
    match "/#{place}/*rest", to: 'places#show', via: :all, format: false, place: place
  end
  root to: 'places#show'
  match '/*all', to: 'places#show', via: :all, format: false
end

formatted = ActionDispatch::Routing::RouteSet.new
formatted.draw do
  PLACES.each { |place| match "/#{place}(.:format)", to: 'places#formatted', via: :all, place: place }
  match '/', to: 'places#formatted', via: :all
  match '/*all', to: 'places#formatted', via: :all
end

[plain, formatted].zip(ARGV).map { |app, port|
  server = Puma::Server.new(app)
  server.add_tcp_listener('127.0.0.1', port.to_i)
  server.run
}.each(&:join)
